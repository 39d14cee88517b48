# LibTorch, for the torch learner alone (rl/torch): never needed to build or test the rest.
#
#   MOBULA_TORCH=auto   with the torch learner where LibTorch is found (the default)
#               =on     stop where it is not found
#               =off    without
#   MOBULA_TORCH_ROOT   the folder of a LibTorch (include/ and lib/ below it), as it is unpacked or as the folder `torch`
#                       of a Python environment; without it the system's (libtorch-dev), or one of CMAKE_PREFIX_PATH
#   MOBULA_TORCH_ALSO   the same, of a second one, for which the tests of the torch learner run too
#
# Two of them in one program abort at its start, so all libraries must come from one folder. Its own CMake package is not
# used: that of 2.x adds flags, looks for CUDA's compiler, and mixes both when Debian's is installed too.
set(MOBULA_TORCH auto CACHE STRING "Build the torch learner: auto, on or off")
set_property(CACHE MOBULA_TORCH PROPERTY STRINGS auto on off)
set(MOBULA_TORCH_ROOT "" CACHE PATH "Folder of the LibTorch to use instead of the system's")
set(MOBULA_TORCH_ALSO "" CACHE PATH "Folder of another LibTorch to test the torch learner with")

# mobula_find_torch(TARGET ROOT): an interface library of what is in ROOT, or in the usual places if that is empty; no
# such target if there is none.
function(mobula_find_torch target root)
  if(NOT "${${target}_SEARCHED}" STREQUAL "root:${root}")  # another one than the last time
    foreach(what include c10 torch_cpu torch)
      unset(${target}_${what} CACHE)
    endforeach()
    set(${target}_SEARCHED "root:${root}" CACHE INTERNAL "")
  endif()
  set(where)
  if(root)
    set(where PATHS ${root} NO_DEFAULT_PATH)
  endif()
  find_path(${target}_include torch/csrc/autograd/autograd.h ${where} PATH_SUFFIXES include)
  mark_as_advanced(${target}_include)
  set(folders)
  foreach(what c10 torch_cpu torch)
    find_library(${target}_${what} ${what} ${where} PATH_SUFFIXES lib)
    mark_as_advanced(${target}_${what})
    if(NOT ${target}_include OR NOT ${target}_${what})
      if(root OR NOT MOBULA_TORCH STREQUAL "auto")
        message(FATAL_ERROR "No LibTorch was found: headers ${${target}_include}, lib${what}.so ${${target}_${what}}."
          " Install libtorch-dev, or give -DMOBULA_TORCH_ROOT=<folder with include/ and lib/>.")
      endif()
      message(STATUS "Torch learner: left out, no LibTorch was found (libtorch-dev, or MOBULA_TORCH_ROOT)")
      return()
    endif()
    get_filename_component(folder ${${target}_${what}} DIRECTORY)
    list(APPEND folders ${folder})
  endforeach()
  list(REMOVE_DUPLICATES folders)
  list(LENGTH folders count)
  if(count GREATER 1)
    message(FATAL_ERROR "LibTorch was found in several folders, of which a program can load only one: ${folders}."
      " Give -DMOBULA_TORCH_ROOT=<folder with include/ and lib/>.")
  endif()
  message(STATUS "Torch learner: with LibTorch in ${folders}")
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_include}
    ${${target}_include}/torch/csrc/api/include)
  # libtorch.so has no symbols of its own but brings CUDA's part where there is one, so it must not be dropped.
  target_link_libraries(${target} INTERFACE -Wl,--push-state,--no-as-needed ${${target}_torch} -Wl,--pop-state
    ${${target}_torch_cpu} ${${target}_c10})
endfunction()

# mobula_torch_module(NAME LIBTORCH target SOURCES files...)
#   A library that is loaded at run time and sees LibTorch: it hides its symbols and needs none of ours.
function(mobula_torch_module name)
  cmake_parse_arguments(ARG "" "LIBTORCH" "SOURCES" ${ARGN})
  add_library(${name} MODULE ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBTORCH} mobula_warnings)
  target_compile_features(${name} PRIVATE cxx_std_20)
  if(MOBULA_NATIVE)
    target_compile_options(${name} PRIVATE -march=native)
  endif()
  target_link_options(${name} PRIVATE LINKER:-z,defs LINKER:--exclude-libs,ALL LINKER:--build-id)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/rl/include
    ${CMAKE_SOURCE_DIR}/runtime/include)
  # A file takes up to 1.5 GB to compile: never two at once.
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    JOB_POOL_COMPILE mobula_torch INSTALL_RPATH_USE_LINK_PATH ON)
endfunction()

set_property(GLOBAL APPEND PROPERTY JOB_POOLS mobula_torch=1)
if(MOBULA_TORCH AND MOBULA_SANITIZE)
  message(STATUS "Torch learner: left out, LibTorch does not run under sanitizers")
elseif(MOBULA_TORCH)
  mobula_find_torch(mobula_libtorch "${MOBULA_TORCH_ROOT}")
  if(MOBULA_TORCH_ALSO)
    mobula_find_torch(mobula_libtorch_also "${MOBULA_TORCH_ALSO}")
  endif()
endif()
