// Journals of studies. The first byte says whether the rest is the file as it lies on the disk, or its records, one a
// line, to which the checksums are added: so that damage gets past them too, and to the study that goes on from it.
#include <mobula/tune/study.h>

#include <string>

#include "tests/fuzz/input_file.h"
#include "tune/study/journal.h"

namespace mobula::fuzz {
namespace {

tune::Space plane() {
  tune::Space space;
  space.add("x", tune::uniform(-1, 1)).add("y", tune::loguniform(1e-3, 1e3));
  return space;
}

tune::StudyOptions options(const std::string& journal) {
  tune::StudyOptions options;
  options.mode = "min";
  options.num_trials = 6;
  options.max_concurrent = 2;
  options.seeds_per_trial = 2;
  options.scheduler = {.name = "asha", .max = 9, .grace = 1, .eta = 3};
  options.journal = journal;
  options.sync = "never";
  return options;
}

void with_checksums(const InputFile& file, std::string_view records) {
  tune::Journal journal(file.hold({}), tune::Journal::Sync::never);
  while (!records.empty()) {
    const std::size_t end = std::min(records.find('\n'), records.size());
    journal.append(records.substr(0, end));
    records.remove_prefix(std::min(end + 1, records.size()));
  }
}

void go_on(const std::string& path) {
  tune::Study study(plane(), options(path));
  for (int i = 0; i < 4; ++i) {
    const auto job = study.ask();
    if (!job) return;
    study.tell(*job, {.value = job->params.number("x")});
  }
}

}  // namespace

void run(std::span<const std::byte> input) {
  if (input.empty()) return;
  static const InputFile file;
  const std::string rest = text_of(input.subspan(1));
  try {
    if (input[0] == std::byte{'f'}) {
      file.hold(input.subspan(1));
    } else {
      with_checksums(file, rest);
    }
    go_on(file.hold(bytes_of(file.text())));
  } catch (const tune::TuneError& error) {
    require(error.what() != nullptr && *error.what() != 0);
    return;
  }
  // What a study has gone on from once, it goes on from again.
  go_on(file.hold(bytes_of(file.text())));
}

std::vector<Input> seeds() {
  const InputFile file;
  go_on(file.hold({}));
  go_on(file.hold(bytes_of(file.text())));
  const std::string whole = file.text();
  std::string records = "r";
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t end = whole.find('\n', at);
    records += whole.substr(at + 9, end - at - 8);
    at = end + 1;
  }
  return {bytes_of("f" + whole), bytes_of(records)};
}

}  // namespace mobula::fuzz
