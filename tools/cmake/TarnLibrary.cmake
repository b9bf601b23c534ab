# tarn_library(<folder>): the static library tarn_<folder> (tarn::<folder>) of all sources under the
# current folder. They are globbed, not listed, so that a new op creates files and edits no build
# file; CONFIGURE_DEPENDS makes each build look for new ones.
function(tarn_library folder)
  # By paths from here on, so that no folder above the tree is taken for one of these.
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.cpp *.h)
  if(folder STREQUAL "train")
    list(FILTER sources EXCLUDE REGEX "^(program|distributed/(mpi|nccl))/")  # no part of the library
  endif()
  if(TARN_CUDA STREQUAL "OFF")
    list(FILTER sources EXCLUDE REGEX "^cuda/")
  endif()
  add_library(tarn_${folder} STATIC CMakeLists.txt ${sources})
  add_library(tarn::${folder} ALIAS tarn_${folder})
  # Kernels for several instruction sets include themselves, and those for devices are no C++.
  list(FILTER sources EXCLUDE REGEX "^(cpu|cuda)/|\\.h$")
  tarn_unity(tarn_${folder} ${sources})
  set_target_properties(tarn_${folder} PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME ${folder})
  target_compile_features(tarn_${folder} PUBLIC cxx_std_20)
  target_include_directories(tarn_${folder} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/tarn>)
  if(folder IN_LIST TARN_COVERAGE)
    target_compile_options(tarn_${folder} PRIVATE --coverage -fprofile-update=atomic)
    target_link_options(tarn_${folder} INTERFACE --coverage)
  endif()
  if(folder IN_LIST TARN_FUZZ)
    target_compile_options(tarn_${folder} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  set_property(GLOBAL APPEND PROPERTY TARN_FOLDERS ${folder})
endfunction()
