# One static library per folder of src/. Its USES list is its permission: it is what is linked, and
# tools/check-layers reads the same lists from CMakeLists.txt and holds every #include against them.
#
# Files of a layer are compiled many at a time (a "unity build"), which makes a build from nothing several
# times as fast: what a file's headers cost is far more than its own lines. 24 need less than 1 GiB of memory. So names in the unnamed namespaces
# of a layer's files have to differ. Layers marked APART are compiled file by file; for a short way from
# an edit to a running test, the preset `dev` compiles all of them so.
#
# Layers marked CONTROL decide and never move data: compiling them takes more than running them ever
# will, so a Release build optimises them for its own speed (-O1).

set_property(GLOBAL PROPERTY HOLDFAST_LAYERS "")

function(holdfast_layer name)
  cmake_parse_arguments(ARG "APART;CONTROL" "" "USES;PACKAGES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  add_library(holdfast_${name} STATIC ${sources})
  target_include_directories(holdfast_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(holdfast_${name} PRIVATE HOLDFAST_VERSION="${HOLDFAST_VERSION}"
                             JSON_USE_IMPLICIT_CONVERSIONS=0)
  set(used)
  foreach(layer IN LISTS ARG_USES)
    list(APPEND used holdfast_${layer})
  endforeach()
  target_link_libraries(holdfast_${name} PUBLIC ${used} ${ARG_PACKAGES})
  if(HOLDFAST_UNITY AND NOT ARG_APART)
    set_target_properties(holdfast_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 24)
  endif()
  if(ARG_CONTROL)
    target_compile_options(holdfast_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
  set_property(GLOBAL APPEND PROPERTY HOLDFAST_LAYERS ${name})
endfunction()

# One test program per layer, of all its src/<layer>/*_test.cc.
function(holdfast_unit_tests)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  set(timeout_seconds 300)
  if(HOLDFAST_SANITIZE)  # many times slower
    set(timeout_seconds 1800)
  endif()
  get_property(layers GLOBAL PROPERTY HOLDFAST_LAYERS)
  foreach(layer IN LISTS layers)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${layer}/*_test.cc)
    if(tests)
      add_executable(${layer}_test ${tests})
      target_link_libraries(${layer}_test PRIVATE holdfast_${layer} GTest::gmock GTest::gtest
                            GTest::gtest_main rapidcheck)
      if(HOLDFAST_UNITY)
        set_target_properties(${layer}_test PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 24)
      endif()
      add_test(NAME unit_${layer} COMMAND ${layer}_test --gtest_brief=1)
      set_tests_properties(unit_${layer} PROPERTIES TIMEOUT ${timeout_seconds})
    endif()
  endforeach()
endfunction()
