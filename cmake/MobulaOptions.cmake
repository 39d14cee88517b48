# Options and the flags that every target of the tree is compiled with.
option(MOBULA_BUILD_TESTS "Build the tests" ON)
option(MOBULA_BUILD_BENCH "Build the benchmarks" ON)
option(MOBULA_BUILD_EXAMPLES "Build the examples" ON)
option(MOBULA_NATIVE "Optimise for the CPU of this machine" ON)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(MOBULA_CCACHE ccache)
if(MOBULA_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${MOBULA_CCACHE})
endif()

# Usage requirements shared by every target: the language level and the instruction set (Eigen's alignment depends on it,
# so it travels with the exported targets).
add_library(mobula_flags INTERFACE)
add_library(Mobula::flags ALIAS mobula_flags)
target_compile_features(mobula_flags INTERFACE cxx_std_20)
if(MOBULA_NATIVE)
  target_compile_options(mobula_flags INTERFACE -march=native)
endif()

# Flags for our own code only. (Designated initialisers leave members to their defaults on purpose.)
option(MOBULA_WARNINGS_AS_ERRORS "Stop at the first warning" ON)
add_library(mobula_warnings INTERFACE)
target_compile_options(mobula_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
  -Wno-missing-field-initializers -fno-math-errno $<$<BOOL:${MOBULA_WARNINGS_AS_ERRORS}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # What these say depends on what was inlined, so on the CPU that -march=native finds: a build must not stop on another
  # machine for them. -Wrestrict and -Wmaybe-uninitialized are wrong about std::string in GCC 12 (bugs 105651 and 105562).
  target_compile_options(mobula_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-error=array-bounds
    -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=free-nonheap-object)
endif()
