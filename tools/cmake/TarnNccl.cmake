# Whether the CUDA devices of several processes are connected by NCCL (docs/many_machines.md), which a
# module needs that the program loads then. Without it gradients go by way of the hosts' memory.
set(TARN_NCCL AUTO CACHE STRING
  "NCCL between CUDA devices: OFF, ON, or AUTO: ON where there are MPI, CUDA devices and NCCL")
set_property(CACHE TARN_NCCL PROPERTY STRINGS OFF ON AUTO)
if(NOT TARN_NCCL MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "TARN_NCCL is '${TARN_NCCL}': expected AUTO, ON or OFF")
endif()

# From here on a variable of this name hides the cache's: AUTO becomes ON or OFF.
if(NOT TARN_NCCL STREQUAL "OFF")
  set(lack "")
  if(TARN_CUDA STREQUAL "OFF" OR NOT TARN_MPI)
    set(lack "it needs TARN_CUDA and TARN_MPI")
  elseif(TARN_CUDA STREQUAL "ON")  # the emulated device has one of its own
    find_package(NCCL 2.14 QUIET)  # the first whose calls need not wait
    if(NOT NCCL_FOUND)
      set(lack "no nccl.h and libnccl of 2.14 or newer were found; -D NCCL_ROOT=... says where they are")
    endif()
  endif()
  if(NOT lack)
    set(TARN_NCCL ON)
  elseif(TARN_NCCL STREQUAL "AUTO")
    set(TARN_NCCL OFF)
  else()
    message(FATAL_ERROR "TARN_NCCL is ON, but ${lack}")
  endif()
endif()
if(NOT TARN_CUDA STREQUAL "OFF")
  message(STATUS "NCCL between CUDA devices: ${TARN_NCCL}")
endif()
