# One static library per folder of src/. Its USES list is its permission: it is what is linked, and
# tools/check-layers reads the same lists from CMakeLists.txt and holds every #include against them.

set_property(GLOBAL PROPERTY HOLDFAST_LAYERS "")

function(holdfast_layer name)
  cmake_parse_arguments(ARG "" "" "USES;PACKAGES" ${ARGN})
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
  set_property(GLOBAL APPEND PROPERTY HOLDFAST_LAYERS ${name})
endfunction()

# One test program per layer, of all its src/<layer>/*_test.cc.
function(holdfast_unit_tests)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  get_property(layers GLOBAL PROPERTY HOLDFAST_LAYERS)
  foreach(layer IN LISTS layers)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${layer}/*_test.cc)
    if(tests)
      add_executable(${layer}_test ${tests})
      target_link_libraries(${layer}_test PRIVATE holdfast_${layer} GTest::gmock GTest::gtest
                            GTest::gtest_main rapidcheck)
      add_test(NAME unit_${layer} COMMAND ${layer}_test --gtest_brief=1)
      set_tests_properties(unit_${layer} PROPERTIES TIMEOUT 300)
    endif()
  endforeach()
endfunction()
