# C++ from the schema. The generated headers are seen by runtime/wire alone.
set(wire_generated ${CMAKE_BINARY_DIR}/runtime/wire/generated)
file(MAKE_DIRECTORY ${wire_generated})
add_custom_command(
  OUTPUT ${wire_generated}/message.capnp.c++ ${wire_generated}/message.capnp.h
  COMMAND ${CAPNP_EXECUTABLE} compile -oc++:${wire_generated} --src-prefix=${CMAKE_SOURCE_DIR}/runtime/wire
          ${CMAKE_SOURCE_DIR}/runtime/wire/message.capnp
  DEPENDS ${CMAKE_SOURCE_DIR}/runtime/wire/message.capnp
  COMMENT "Generating runtime/wire/message.capnp.h" VERBATIM)
set_source_files_properties(${wire_generated}/message.capnp.c++ PROPERTIES COMPILE_OPTIONS -w)
mobula_library(runtime/wire DEPENDS mobula_runtime_base PRIVATE_LINKS PkgConfig::CapnProto
               SOURCES ${wire_generated}/message.capnp.c++ ${wire_generated}/message.capnp.h)
target_include_directories(mobula_runtime_wire SYSTEM PRIVATE ${wire_generated})
