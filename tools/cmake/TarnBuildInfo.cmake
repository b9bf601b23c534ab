# Writes core/build_info.h into the build tree: which source, compiler and build type made a binary.
# An archive that git made has its commit written into the next line; a clone asks git.
set(archived "$Format:%h$")
set(TARN_GIT_COMMIT "unknown")
if(NOT archived MATCHES "Format")
  set(TARN_GIT_COMMIT "${archived}")
endif()
find_package(Git QUIET)
if(GIT_FOUND)
  # A clone that belongs to another user, as when root builds, is read all the same.
  set(git ${GIT_EXECUTABLE} -c safe.directory=${PROJECT_SOURCE_DIR})
  execute_process(COMMAND ${git} describe --always --dirty
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE describe RESULT_VARIABLE failed
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed AND describe)
    set(TARN_GIT_COMMIT "${describe}")
  endif()
  # A new commit configures again, so that the header does not go on naming an old one.
  execute_process(COMMAND ${git} rev-parse --git-path logs/HEAD
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE head_log
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  cmake_path(ABSOLUTE_PATH head_log BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(EXISTS ${head_log} AND NOT IS_DIRECTORY ${head_log})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${head_log})
  endif()
endif()
configure_file(core/build_info.h.in include/core/build_info.h @ONLY)
