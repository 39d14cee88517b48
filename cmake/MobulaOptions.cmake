# Options and the flags that every target of the tree is compiled with.
option(MOBULA_BUILD_TESTS "Build the tests" ON)
option(MOBULA_BUILD_BENCH "Build the benchmarks" ON)
option(MOBULA_BUILD_EXAMPLES "Build the examples" ON)
option(MOBULA_FUZZ "Instead of the tests, the libFuzzer programs of tests/fuzz; needs clang" OFF)
option(MOBULA_NATIVE "Optimise for the CPU of this machine" ON)
option(MOBULA_WARNINGS_AS_ERRORS "Stop at the first warning" ON)
set(MOBULA_SANITIZE "" CACHE STRING "Sanitizers for everything: address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
# Optimised enough to keep the simulator's thousands of seeds within minutes; with assertions and usable stacks.
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer")
if(MOBULA_SANITIZE)
  add_compile_options(-fsanitize=${MOBULA_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MOBULA_SANITIZE})
endif()

find_program(MOBULA_CCACHE ccache)
if(MOBULA_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${MOBULA_CCACHE})
endif()

# Usage requirements shared by every target, and by the programs of others. The instruction set travels with the targets
# because Eigen's alignment, and with it the layout of what we hand out, depends on it. Functions are known by the
# build-id of their binary and their offset in it, and are named in backtraces, so programs need a build-id and exported
# symbols.
add_library(mobula_flags INTERFACE)
add_library(Mobula::flags ALIAS mobula_flags)
set_target_properties(mobula_flags PROPERTIES EXPORT_NAME flags)
target_compile_features(mobula_flags INTERFACE cxx_std_20)
target_link_options(mobula_flags INTERFACE -rdynamic LINKER:--build-id)
if(MOBULA_NATIVE)
  target_compile_options(mobula_flags INTERFACE -march=native)
endif()

# Flags for our own code only. (Designated initialisers leave members to their defaults on purpose.)
add_library(mobula_warnings INTERFACE)
target_compile_options(mobula_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
  -Wno-missing-field-initializers -fno-math-errno $<$<BOOL:${MOBULA_WARNINGS_AS_ERRORS}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # What these say depends on what was inlined, so on the CPU that -march=native finds: a build must not stop on another
  # machine for them. -Wrestrict and -Wmaybe-uninitialized are wrong about std::string in GCC 12 (bugs 105651, 105562).
  target_compile_options(mobula_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-error=array-bounds
    -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=free-nonheap-object)
endif()
if(MOBULA_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # ThreadSanitizer does not see fences; GCC 12 warns of each, in Boost too.
  add_compile_options(-Wno-tsan)
endif()
