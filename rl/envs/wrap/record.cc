// Writes each finished episode into a file.
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "rl/envs/wrap/wrapper.h"

namespace mobula::rl {
namespace {

void append_number(std::string& text, float x) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), x).ptr;
  text.append(digits.data(), end);
}

// A line a step: the observation, the action taken on it, and the reward it gave; then a line with the last
// observation. An episode that is played again, after a crash or for a resumed run, gives the same file again.
class Record final : public WrapperVec {
 public:
  Record(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, const std::string& folder)
      : WrapperVec(std::move(inner), info), folder_(folder), lines_(size()) {
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    if (failed) refuse(folder_, failed.message());
  }

 private:
  void begin(int i) override {
    WrapperVec::begin(i);
    lines_[i].clear();
  }
  void next(int i, std::span<const float> action) override {
    add(i, action);
    WrapperVec::next(i, action);
  }
  void end(int i, std::span<const float> action) override {
    add(i, action);
    WrapperVec::end(i, action);
    write(i);
  }
  void ended_now(int i) override { write(i); }
  void save_more(int i, std::vector<std::byte>& bytes) const override { append_snapshot(bytes, lines_[i]); }
  void load_more(int i, std::span<const std::byte>& bytes) override { take_snapshot(bytes, lines_[i]); }

  // (The row still shows what the action was taken on.)
  void add(int i, std::span<const float> action) {
    auto& line = lines_[i];
    line.insert(line.end(), row(i), row(i) + info_.observation_size);
    line.insert(line.end(), action.begin(), action.end());
    line.push_back(static_cast<float>(rewards_[i]));
  }

  void write(int i) {
    const std::uint32_t episode = inner_->episodes()[i] - 1, env = options_.first + static_cast<std::uint32_t>(i);
    const int width = info_.observation_size + info_.action.dimensions + 1;
    std::string text;
    for (int k = 0; k < info_.observation_size; ++k) text += "observation" + std::to_string(k) + ',';
    for (int k = 0; k < info_.action.dimensions; ++k) text += "action" + std::to_string(k) + ',';
    text += "reward,terminated,truncated\n";
    const std::size_t steps = lines_[i].size() / width;
    for (std::size_t t = 0; t < steps; ++t) {
      for (int k = 0; k < width; ++k) {
        append_number(text, lines_[i][t * width + k]);
        text += ',';
      }
      const bool last = t + 1 == steps;
      text += last && terminated_[i] ? "1," : "0,";
      text += last && truncated_[i] ? "1\n" : "0\n";
    }
    for (int k = 0; k < info_.observation_size; ++k) {
      append_number(text, final_row(i)[k]);
      text += ',';
    }
    text += std::string(info_.action.dimensions, ',') + ",,\n";
    const bool training = options_.stream == Stream::environment;
    const auto file = folder_ / ((training ? "train" : "evaluate") + std::string("-env") + std::to_string(env) +
                                 "-episode" + std::to_string(episode) + ".csv");
    // Written aside and renamed: whoever looks sees whole episodes only.
    auto aside = file;
    aside += ".part";
    std::FILE* out = std::fopen(aside.c_str(), "wb");
    if (!out) refuse(aside, std::strerror(errno));
    const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
    const int error = errno;
    const bool closed = std::fclose(out) == 0;
    if (!written || !closed) refuse(aside, std::strerror(written ? errno : error));
    std::error_code failed;
    std::filesystem::rename(aside, file, failed);
    if (failed) refuse(file, failed.message());
  }

  [[noreturn]] static void refuse(const std::filesystem::path& file, const std::string& what) {
    throw std::runtime_error("Recording episodes (env.wrappers, record): cannot write " + file.string() + ": " + what +
                             ". Name a folder that can be written, or leave the wrapper out.");
  }

  const std::filesystem::path folder_;
  std::vector<std::vector<float>> lines_;  // of the present episode
};

}  // namespace

std::unique_ptr<AnyVecEnv> record(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info,
                                  const std::string& folder) {
  return std::make_unique<Record>(std::move(inner), info, folder);
}

}  // namespace mobula::rl
