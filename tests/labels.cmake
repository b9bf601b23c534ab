# Read by ctest: a test case with "[thread]" in its name gets the label thread beside its folder's,
# and one that says that it cannot be run here counts as skipped, not as passed.
foreach(folder core kernels autograd nn optim data train)
  foreach(test IN LISTS test_${folder}_TESTS)
    set_tests_properties("${test}" PROPERTIES SKIP_REGULAR_EXPRESSION "MESSAGE: skipped: ")
    if(test MATCHES "\\[([a-z]+)\\]")
      set_tests_properties("${test}" PROPERTIES LABELS "${folder};${CMAKE_MATCH_1}")
    endif()
  endforeach()
endforeach()
