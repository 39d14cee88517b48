#pragma once

namespace mobula::cli {

/// While this lives, SIGINT and SIGTERM end the process at once with status 130, also where they were inherited as
/// ignored. One at a time.
class EndAtInterrupt {
 public:
  EndAtInterrupt();
  ~EndAtInterrupt();
  EndAtInterrupt(const EndAtInterrupt&) = delete;
  EndAtInterrupt& operator=(const EndAtInterrupt&) = delete;
};

/// While this lives, the first SIGINT or SIGTERM is only noted and the second ends the process at once with status 130.
/// Also where SIGINT was inherited as ignored (a job started with `&` by a shell script). One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  bool requested() const;
};

}  // namespace mobula::cli
