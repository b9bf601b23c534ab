# Whether CUDA devices are built in: by the toolkit, or emulated on the processor (docs/cuda.md and
# docs/emulator.md). What is not built in is left out of the libraries: core/cuda stands for all that
# needs a runtime.
# nvcc takes minutes, which docs/cuda.md has, so that it is asked for.
set(TARN_CUDA OFF CACHE STRING "CUDA devices: OFF, ON, EMULATE, or AUTO: ON where a toolkit is found")
set_property(CACHE TARN_CUDA PROPERTY STRINGS OFF ON AUTO EMULATE)
if(NOT TARN_CUDA MATCHES "^(AUTO|ON|OFF|EMULATE)$")
  message(FATAL_ERROR "TARN_CUDA is '${TARN_CUDA}': expected AUTO, ON, OFF or EMULATE")
endif()
if(TARN_CUDA STREQUAL "EMULATE" AND TARN_SANITIZE)
  message(FATAL_ERROR "TARN_CUDA=EMULATE has stacks that the sanitizers do not know; use one of them")
endif()

# From here on a variable of this name hides the cache's: AUTO becomes ON or OFF.
if(TARN_CUDA MATCHES "^(AUTO|ON)$")
  find_package(CUDAToolkit QUIET)  # looks for nvcc on the PATH, then in /usr/local/cuda
  set(lack "")
  if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
    set(lack "no nvcc was found on the PATH, in CUDA_PATH or in /usr/local/cuda")
  elseif(CUDAToolkit_VERSION VERSION_LESS 12.0)  # the first whose nvcc has C++20
    set(lack "${CUDAToolkit_NVCC_EXECUTABLE} is of CUDA ${CUDAToolkit_VERSION}, and 12.0 is needed")
  elseif(NOT TARGET CUDA::cublas OR NOT TARGET CUDA::cudart_static)
    set(lack "the toolkit of ${CUDAToolkit_NVCC_EXECUTABLE} lacks cuBLAS or the static runtime")
  endif()
  if(NOT lack)
    set(TARN_CUDA ON)
    message(STATUS "CUDA devices: ON, by ${CUDAToolkit_NVCC_EXECUTABLE} ${CUDAToolkit_VERSION}")
  elseif(TARN_CUDA STREQUAL "AUTO")
    set(TARN_CUDA OFF)
    message(STATUS "CUDA devices: OFF, since ${lack}")
  else()
    message(FATAL_ERROR "TARN_CUDA is ON, but ${lack}")
  endif()
else()
  find_program(TARN_NVCC nvcc PATHS ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
  mark_as_advanced(TARN_NVCC)
  if(TARN_CUDA STREQUAL "EMULATE")
    message(STATUS "CUDA devices: emulated")
  elseif(TARN_NVCC)
    message(STATUS "CUDA devices: OFF; nvcc is here: -D TARN_CUDA=ON builds for them")
  else()
    message(STATUS "CUDA devices: OFF")
  endif()
endif()

if(TARN_CUDA STREQUAL "ON")
  # From Turing to Blackwell, and code that newer devices compile when they load it. The front end of
  # nvcc takes most of its time: it runs once for processors whose features the kernels use alike.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    set(TARN_CUDA_CODE arch=compute_75,code=sm_75 arch=compute_80,code=[sm_80,sm_86,sm_89])
    if(CUDAToolkit_VERSION VERSION_LESS 12.8)
      list(APPEND TARN_CUDA_CODE arch=compute_90,code=[sm_90,compute_90])
    else()
      list(APPEND TARN_CUDA_CODE arch=compute_90,code=[sm_90,sm_100,sm_120,compute_90])
    endif()
    list(TRANSFORM TARN_CUDA_CODE PREPEND --generate-code=)
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
  endif()
  if(TARN_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${TARN_CCACHE})
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(TARN_CUDA_LIBRARIES CUDA::cudart_static CUDA::cublas)
  set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)  # the installed program finds cuBLAS where it was
elseif(TARN_CUDA STREQUAL "EMULATE")
  set(TARN_CUDA_LIBRARIES $<BUILD_INTERFACE:tarn_emulator>)
endif()

# Adds the .cu files of the current folder to a library: nvcc compiles them or, for the emulated
# device, g++. Random numbers and their like are constexpr functions of core, which nvcc compiles for
# the device too if it is told so.
function(tarn_cuda_sources library)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cu)
  target_sources(${library} PRIVATE ${sources})
  if(TARN_CUDA STREQUAL "EMULATE")
    # Without the flag g++ 12 makes of four loads in one branch an aligned one, if another branch has
    # such a load of the same place.
    set(options -x c++ -fno-tree-slp-vectorize)
    if(TARN_CHECKED)  # every access to memory goes through the emulator's checker
      list(APPEND options -O1 -g -fsanitize=thread,alignment,bounds,shift)
    endif()
    set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${options}")
  else()
    # A kernel whose registers are spilled to memory is slow without a sign: it is an error.
    set(options ${TARN_CUDA_CODE} --expt-relaxed-constexpr -Xptxas=--warn-on-spills,--warning-as-error)
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${options}")
  endif()
endfunction()
