# Whether runs of several processes are built in (docs/many_machines.md). The program itself needs no
# MPI: what does is a module that it loads when mpirun has started it.
set(TARN_MPI AUTO CACHE STRING "Training over MPI: OFF, ON, or AUTO: ON where MPI is found")
set_property(CACHE TARN_MPI PROPERTY STRINGS OFF ON AUTO)
if(NOT TARN_MPI MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "TARN_MPI is '${TARN_MPI}': expected AUTO, ON or OFF")
endif()

# From here on a variable of this name hides the cache's: AUTO becomes ON or OFF.
if(NOT TARN_MPI STREQUAL "OFF")
  find_package(MPI QUIET COMPONENTS C)
  if(NOT MPI_C_FOUND AND TARN_MPI STREQUAL "ON")
    message(FATAL_ERROR "TARN_MPI is ON, but no MPI was found; Debian's is libopenmpi-dev")
  endif()
  set(TARN_MPI ${MPI_C_FOUND})
endif()
if(TARN_MPI)
  set(TARN_MPI ON)
  message(STATUS "Training over MPI: ON, by ${MPI_C_COMPILER}")
else()
  set(TARN_MPI OFF)
  message(STATUS "Training over MPI: OFF")
endif()
