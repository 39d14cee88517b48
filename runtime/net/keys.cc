#include "runtime/net/keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace mobula::net {

namespace {

constexpr std::size_t key_letters = 40;

Error invalid(const std::string& message) {
  return Error{.code = ErrorCode::invalid, .message = message};
}
std::string reason() {
  return std::generic_category().message(errno);
}

}  // namespace

Keys Keys::generate() {
  char public_key[key_letters + 1] = {}, secret_key[key_letters + 1] = {};
  if (zmq_curve_keypair(public_key, secret_key) != 0) {
    throw std::runtime_error("making cluster keys: libzmq has no CURVE support here (" +
                             std::string(zmq_strerror(errno)) + "); install the distribution's libzmq3-dev");
  }
  return {public_key, secret_key};
}

Result<Keys> Keys::load(const std::string& path) {
  const std::string what = "reading the cluster keys " + path + ": ";
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    return invalid(what + reason() + "; `mobula head` writes them, copy its file to this machine");
  }
  if (!S_ISREG(status.st_mode)) return invalid(what + "it is not a file");
  if ((status.st_mode & 077) != 0) {
    return invalid(what +
                   "others than its owner can read it, and whoever has the keys can run code on the cluster; run chmod "
                   "600 on it");
  }
  std::ifstream file(path);
  if (!file) return invalid(what + reason());
  Keys keys;
  int version = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, value;
    if (!(words >> name) || name.starts_with('#')) continue;
    words >> value;
    if (name == "mobula-keys") version = std::atoi(value.c_str());
    if (name == "public") keys.public_key = value;
    if (name == "secret") keys.secret_key = value;
  }
  if (version == 0) return invalid(what + "it is not a keys file (no line `mobula-keys 1`)");
  if (version != 1) {
    return invalid(what + "found version " + std::to_string(version) +
                   ", this program reads 1; use one build everywhere");
  }
  char derived[key_letters + 1] = {};
  if (keys.public_key.size() != key_letters || keys.secret_key.size() != key_letters ||
      zmq_curve_public(derived, keys.secret_key.c_str()) != 0 || keys.public_key != derived) {
    return invalid(what + "its two keys do not belong together; the file is damaged, copy it again from the head");
  }
  return keys;
}

Result<void> Keys::save(const std::string& path) const {
  const std::string what = "writing the cluster keys " + path + ": ";
  const std::string text =
      "# Keys of a Mobula cluster. Whoever has this file may join the cluster and run code on it: keep it secret.\n"
      "mobula-keys 1\npublic " +
      public_key + "\nsecret " + secret_key + "\n";
  const std::string aside = path + "." + std::to_string(getpid()) + ".tmp";
  const int file = open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return invalid(what + reason());
  const bool written = fchmod(file, 0600) == 0 &&
                       write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  const std::string why = written ? "" : reason();
  close(file);
  if (!written || rename(aside.c_str(), path.c_str()) != 0) {
    const Error error = invalid(what + (written ? reason() : why));
    unlink(aside.c_str());
    return error;
  }
  return {};
}

}  // namespace mobula::net
