# Compiler flags: warnings, hardening, sanitizers.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(HOLDFAST_WERROR)
  # g++ 12 warns falsely about these in optimised string code.
  add_compile_options(-Werror -Wno-error=restrict -Wno-error=stringop-overflow
                      -Wno-error=stringop-overread -Wno-error=array-bounds
                      -Wno-error=maybe-uninitialized)
endif()
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(HOLDFAST_SANITIZE)
  add_compile_options(-fsanitize=${HOLDFAST_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HOLDFAST_SANITIZE})
else()
  add_compile_options(-fstack-protector-strong)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(HOLDFAST_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
