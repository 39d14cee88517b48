#pragma once

#include <cstdint>

// Messages between a node and its zygote, on a SOCK_SEQPACKET pair: each send is one message and arrives whole.
namespace mobula::process::protocol {

// argv[1] of a zygote, and of a worker that is executed because its program has threads before main. argv[2] holds the
// numbers, argv[3] the options' text.
inline constexpr char zygote_mark[] = "--mobula-zygote";
inline constexpr char worker_mark[] = "--mobula-worker";

// Descriptors of a zygote: its socket, a pidfd of the process that started it, then what the workers inherit.
inline constexpr int socket_fd = 3;
inline constexpr int parent_fd = 4;
inline constexpr int first_inherited_fd = 5;

// node -> zygote: any number of these in one message.
struct ForkRequest {
  std::uint32_t slot;
  std::uint32_t generation;
};
inline constexpr int max_requests = 128;

// The dynamic linker's variable, set for the zygote's start only, and the value by which it knows that it was not the
// user who set it.
inline constexpr const char* bind_now = "LD_BIND_NOW";
inline constexpr const char* bind_now_ours = "mobula";

// zygote -> node. `started` carries three descriptors: pidfd, stdout, stderr.
enum class Kind : std::uint32_t { ready, started, exited, fork_failed };
struct Event {
  Kind kind;
  std::uint32_t slot;
  std::uint32_t generation;
  std::int32_t pid;
  std::int32_t status;  // waitpid's status, or errno of a failed fork; for `ready` the number of threads at init
  std::uint32_t reserved;
  std::uint64_t output_token;
};

}  // namespace mobula::process::protocol
