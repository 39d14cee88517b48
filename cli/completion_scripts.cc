#include <string_view>

#include "cli/completion.h"

namespace mobula::cli {
namespace {

// bash breaks words at = and :, and replaces only what is behind the last break; so the words are put together again,
// and what bash keeps is cut off the answers.
constexpr const char* kBash = R"(# Completion of PROGRAM for bash. Use: source <(PROGRAM completion bash)
_PROGRAM() {
  local program=${COMP_WORDS[0]} words=() word= i
  for ((i = 1; i <= COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if ((i > 1)) && [[ $word == [=:] || ${COMP_WORDS[i-1]} == [=:] ]]; then
      words[${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
  done
  word=${words[${#words[@]}-1]}
  local kept=${word%"${word##*[=:]}"} answer
  COMPREPLY=()
  while IFS= read -r answer; do
    COMPREPLY+=("${answer#"$kept"}")
  done < <("$program" completion --words "${words[@]}" 2>/dev/null)
  if ((${#COMPREPLY[@]} > 0)) && [[ ${COMPREPLY[0]} == *[=/] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _PROGRAM PROGRAM
)";

constexpr const char* kZsh = R"(#compdef PROGRAM
# Completion of PROGRAM for zsh. Use: PROGRAM completion zsh > "${fpath[1]}/_PROGRAM"
_PROGRAM() {
  local -a answers open closed
  local answer
  answers=("${(@f)$("${words[1]}" completion --words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for answer in $answers; do
    [[ $answer == *[=/] ]] && open+=("$answer") || closed+=("$answer")
  done
  (($#open)) && compadd -Q -S '' -- $open
  (($#closed)) && compadd -Q -- $closed
}
if [[ $funcstack[1] == _PROGRAM ]]; then
  _PROGRAM "$@"
else
  compdef _PROGRAM PROGRAM
fi
)";

constexpr const char* kFish =
    R"(# Completion of PROGRAM for fish. Use: PROGRAM completion fish > ~/.config/fish/completions/PROGRAM.fish
function __PROGRAM_words
  set -l words (commandline -opc) (commandline -ct)
  $words[1] completion --words $words[2..-1] 2>/dev/null
end
complete -c PROGRAM -f -a '(__PROGRAM_words)'
)";

}  // namespace

std::string completion_script(const std::string& shell, const std::string& program) {
  std::string text = shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish;
  constexpr std::string_view placeholder = "PROGRAM";
  for (auto at = text.find(placeholder); at != std::string::npos; at = text.find(placeholder, at + program.size())) {
    text.replace(at, placeholder.size(), program);
  }
  return text;
}

}  // namespace mobula::cli
