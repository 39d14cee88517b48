#pragma once

#include <filesystem>
#include <string>

#include <mobula/result.h>

namespace mobula::daemon {

// A folder of this user alone (mode 0700): made where it is missing, with the folders above it. Refused if it is a
// link, someone else's, or open to others: others may write where it lies.
Result<void> private_folder(const std::filesystem::path& folder);

// Where this user's daemons of this machine leave word of themselves: $XDG_RUNTIME_DIR/mobula, else a folder for
// temporary files with the user's number in its name. Not made.
std::filesystem::path run_folder();
// Where programs of other machines are kept: $XDG_CACHE_HOME/mobula/programs, else below $HOME, else below
// run_folder(). Not made.
std::filesystem::path program_cache_folder();
// Where daemons keep the logs of their workers: $XDG_STATE_HOME/mobula/logs, else below $HOME, else below run_folder().
// Not made.
std::filesystem::path log_folder();

// The file, whole or not at all: written aside with this mode, then renamed.
Result<void> write_whole(const std::filesystem::path& file, const std::string& text, unsigned mode = 0600);

}  // namespace mobula::daemon
