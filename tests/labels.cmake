# Read by ctest: a test case with "[thread]" in its name gets the label thread beside its folder's.
foreach(folder core kernels autograd nn optim data train)
  foreach(test IN LISTS test_${folder}_TESTS)
    if(test MATCHES "\\[([a-z]+)\\]")
      set_tests_properties("${test}" PROPERTIES LABELS "${folder};${CMAKE_MATCH_1}")
    endif()
  endforeach()
endforeach()
