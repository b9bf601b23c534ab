# Compile and link options of every target. No fast-math anywhere: it breaks the detection of NaN and
# the promise that a run can be repeated bit for bit.
# Kernels' arguments are structs written in braces by name, and what is left out has its default.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wno-missing-field-initializers>")
if(TARN_WERROR)
  # Not of nvcc, whose option of that name takes a word more.
  add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-Werror>")
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wzero-as-null-pointer-constant;-Wsuggest-override>")
  # g++ 12 sees an overlap that is not there where a short literal is assigned to a string.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wno-error=restrict>")
  endif()
endif()

if(TARN_SANITIZE STREQUAL "address")
  set(TARN_SANITIZE_FLAGS -fsanitize=address,undefined)
elseif(TARN_SANITIZE STREQUAL "thread")
  set(TARN_SANITIZE_FLAGS -fsanitize=thread)
elseif(TARN_SANITIZE)
  message(FATAL_ERROR "TARN_SANITIZE is '${TARN_SANITIZE}': expected address or thread")
endif()
if(TARN_SANITIZE)
  list(APPEND TARN_SANITIZE_FLAGS -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # C++ only: a C library that is preloaded into tests must not bring a second sanitizer along.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${TARN_SANITIZE_FLAGS}>")
  add_link_options("$<$<LINK_LANGUAGE:CXX>:${TARN_SANITIZE_FLAGS}>")
endif()

# For folders that compute nothing themselves: most of the time to compile them is the optimiser's.
set(TARN_COMPILE_QUICKLY "$<$<CONFIG:Release>:-O1>" "$<$<CONFIG:Debug>:-O0>")
