#pragma once

#include <CLI/CLI.hpp>

#include <exception>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace mobula::cli {

// Two streams, and who gets what: standard output has results (what a user keeps or pipes on), standard error has
// messages (progress, notes, errors). Where the reader of one has gone (`| head`), nothing crashes and nothing goes on
// for nobody: the command ends with status 141, as a shell says of a program that wrote to a closed pipe.

struct OutputOptions {
  bool quiet = false;
  bool json = false;
};
/// --quiet and --json. `what` completes the sentence "for programs: ...".
void add_output_options(CLI::App& app, OutputOptions& options, const std::string& what);

/// The reader of standard output has gone.
class OutputGone : public std::exception {
 public:
  const char* what() const noexcept override { return "nobody reads the output"; }
};
constexpr int reader_gone_status = 141;

/// First thing in the program: a closed pipe is told by write(), not by a signal that ends the process. Programs that
/// this one executes are not affected.
void prepare_output();

/// To standard output, at once. Throws OutputGone, or std::runtime_error that says why it cannot be written.
void write_result(std::string_view text);
/// One object, one line, to standard output.
void write_json_line(const nlohmann::ordered_json& object);
/// To standard error, at once. A message that cannot be written is lost; see reader_gone().
void write_message(std::string_view text);
/// Whether some write found that nobody reads.
bool reader_gone();

/// Whether the descriptor is a terminal on which lines can be drawn anew.
bool is_terminal(int descriptor);
struct TerminalSize {
  int columns = 80, rows = 24;
  /// What a line may fill: at Ctrl-C the terminal itself writes ^C to where the cursor is, and a line that is full goes
  /// on in the next one.
  int text_columns() const { return columns > 2 ? columns - 2 : 1; }
};
TerminalSize terminal_size(int descriptor);
/// How wide results may be: as the terminal, or 100 columns in a file.
int result_width();

/// JSON has no NaN: what is not known is null.
nlohmann::ordered_json json_number(double value);

}  // namespace mobula::cli
