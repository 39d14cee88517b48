# mobula_library(FOLDER [DEPENDS targets...] [LINKS packages...] [PRIVATE_LINKS packages...] [SOURCES files...])
#   One static library per folder, named after it: runtime/base -> mobula_runtime_base.
#   All *.cc of the folder (and of its sub-folders) belong to it, but no main.cc, which is a program's. SOURCES adds
#   generated ones. Headers are included by their path from the root ("runtime/base/ids.h"), public ones as <mobula/...>.
function(mobula_library folder)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINKS;PRIVATE_LINKS;SOURCES" ${ARGN})
  string(REPLACE "/" "_" name "mobula_${folder}")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  list(APPEND sources ${ARG_SOURCES})
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC mobula_flags ${ARG_DEPENDS} ${ARG_LINKS}
      PRIVATE $<BUILD_INTERFACE:mobula_warnings> ${ARG_PRIVATE_LINKS})
    set(scope PUBLIC)
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE mobula_flags ${ARG_DEPENDS} ${ARG_LINKS})
    set(scope INTERFACE)
  endif()
  string(REGEX REPLACE "/.*" "" top ${folder})
  target_include_directories(${name} ${scope} $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/${top}/include> $<INSTALL_INTERFACE:include>)
  string(REPLACE "/" "_" export "${folder}")
  set_target_properties(${name} PROPERTIES EXPORT_NAME lib_${export})
  set_property(GLOBAL APPEND PROPERTY MOBULA_LIBRARIES ${name})
endfunction()

# mobula_program(NAME SOURCES files... DEPENDS targets...)
#   An executable of the tree: the program itself, examples, benchmarks.
function(mobula_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} mobula_flags mobula_warnings)
endfunction()

# mobula_test(NAME SOURCES files... DEPENDS targets... LABELS labels... [TIMEOUT seconds] [NO_MAIN] [SERIAL])
#   A GoogleTest program; each of its tests is a CTest of its own. SERIAL: no other test runs beside it.
function(mobula_test name)
  cmake_parse_arguments(ARG "NO_MAIN;SERIAL" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} mobula_flags mobula_warnings GTest::gmock)
  if(NOT ARG_NO_MAIN)
    target_link_libraries(${name} PRIVATE mobula_tests_support)
  endif()
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE MOBULA_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    MOBULA_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set(serial)
  if(ARG_SERIAL)
    set(serial RUN_SERIAL TRUE)
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} ${serial})
endfunction()
