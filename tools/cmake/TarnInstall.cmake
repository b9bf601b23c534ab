# cmake --install: the program, the libraries, their headers and find_package(tarn). An emulated device
# is for tests: a build that has one is not installed.
if(TARN_CUDA STREQUAL "EMULATE")
  install(CODE "message(FATAL_ERROR \"TARN_CUDA=EMULATE is for tests and is not installed\")")
  return()
endif()
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tarn)

get_property(folders GLOBAL PROPERTY TARN_FOLDERS)
foreach(folder IN LISTS folders)
  install(TARGETS tarn_${folder} EXPORT tarnTargets)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tarn
    FILES_MATCHING PATTERN *.h PATTERN *.def PATTERN program EXCLUDE)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/include/core/build_info.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tarn/core)
if(TARGET tarn)
  install(TARGETS tarn)
endif()

install(EXPORT tarnTargets NAMESPACE tarn:: DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tarnConfig.cmake.in
  ${PROJECT_BINARY_DIR}/tarnConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tarnConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tarnConfig.cmake ${PROJECT_BINARY_DIR}/tarnConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindOpenBLAS.cmake DESTINATION ${package_dir})
