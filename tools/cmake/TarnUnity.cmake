# With TARN_UNITY, as in most presets, the sources of a folder are compiled as one: most of the time
# goes to the headers that they share. Names in unnamed namespaces are then unique in a
# folder, not in a file alone.
# tarn_unity(<target> <source>...): sources by paths relative to the current folder.
function(tarn_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${TARN_UNITY} UNITY_BUILD_MODE GROUP)
  if(TARN_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # which takes included sources for headers
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>")
  endif()
  foreach(source IN LISTS ARGN)
    cmake_path(GET source PARENT_PATH folder)
    string(MAKE_C_IDENTIFIER "${target}/${folder}" group)  # part of a file's name
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group})
  endforeach()
endfunction()
