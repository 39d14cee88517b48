# Third-party packages, each found once here, for this tree and for the programs that use the installed package; only the
# folders named in the design link them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
# (The CMake package of Cap'n Proto 0.9 looks for a libatomic it does not need; pkg-config does not.)
pkg_check_modules(CapnProto REQUIRED QUIET IMPORTED_TARGET capnp)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(cereal REQUIRED)
pkg_check_modules(ZeroMQ REQUIRED QUIET IMPORTED_TARGET libzmq)
pkg_check_modules(Crypto REQUIRED QUIET IMPORTED_TARGET libcrypto)
pkg_check_modules(Sodium REQUIRED QUIET IMPORTED_TARGET libsodium)
# Optional: LunarLander and BipedalWalker are there where Box2D is.
pkg_check_modules(Box2D QUIET IMPORTED_TARGET box2d)
