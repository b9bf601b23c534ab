# Whether CUDA devices are built in: by the toolkit, or emulated on the processor (docs/emulator.md).
# What is not built in is left out of the libraries: core/cuda stands for all that needs a runtime.
set(TARN_CUDA OFF CACHE STRING "CUDA devices: OFF, ON (needs the toolkit) or EMULATE")
set_property(CACHE TARN_CUDA PROPERTY STRINGS OFF ON EMULATE)
if(NOT TARN_CUDA MATCHES "^(OFF|ON|EMULATE)$")
  message(FATAL_ERROR "TARN_CUDA is '${TARN_CUDA}': expected OFF, ON or EMULATE")
endif()
if(TARN_CUDA STREQUAL "EMULATE" AND TARN_SANITIZE)
  message(FATAL_ERROR "TARN_CUDA=EMULATE has stacks that the sanitizers do not know; use one of them")
endif()
if(TARN_CUDA STREQUAL "ON")
  # From Turing to Blackwell, and code that newer devices compile when they load it.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  find_package(CUDAToolkit REQUIRED)
  set(TARN_CUDA_LIBRARIES CUDA::cudart_static CUDA::cublas)
elseif(TARN_CUDA STREQUAL "EMULATE")
  set(TARN_CUDA_LIBRARIES tarn_emulator)
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
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS --expt-relaxed-constexpr)
  endif()
endfunction()
