#include "rl/envs/read_config.h"

#include <mobula/rl/vec_env.h>

#include "runtime/config/dump.h"
#include "runtime/config/read.h"

namespace mobula::rl {
namespace {

struct WithWrappers final : Fields::Group {
  Fields::Group& config;
  std::vector<WrapperOptions> wrappers;
  explicit WithWrappers(Fields::Group& c) : config(c) {}
  void describe(Fields& f) override {
    config.describe(f);
    f("wrappers", wrappers, {.help = "What is put around the environment, innermost first."});
  }
  std::string problem() const override { return config.problem(); }
};

}  // namespace

std::vector<WrapperOptions> read_environment(const config::Document& document, std::string_view path,
                                             Fields::Group& config) {
  WithWrappers both(config);
  config::read_group(document, path, both, {"name"});
  return std::move(both.wrappers);
}

std::vector<WrapperOptions> read_environment_config(const std::string& config_yaml, Fields::Group& config) {
  const auto document = config_yaml.find_first_not_of(" \t\r\n") == std::string::npos
                            ? config::Document::empty("the environment's configuration")
                            : config::Document::parse(config_yaml, "the environment's configuration");
  return read_environment(document, "", config);
}

std::string wrappers_yaml(std::span<const WrapperOptions> wrappers) {
  if (wrappers.empty()) return {};
  std::string text;
  for (const auto& w : wrappers) {
    const auto add = [&text](const char* name, const std::string& value) {
      text += (text.empty() ? "" : ", ") + std::string("{") + name + ": " + value + "}";
    };
    if (w.time_limit) add("time_limit", std::to_string(*w.time_limit));
    if (w.frame_stack) add("frame_stack", std::to_string(*w.frame_stack));
    if (w.normalize_observation) add("normalize_observation", *w.normalize_observation ? "true" : "false");
    if (w.normalize_reward) add("normalize_reward", config::number_text(*w.normalize_reward));
    if (w.clip_observation) add("clip_observation", config::number_text(*w.clip_observation));
    if (w.clip_reward) add("clip_reward", config::number_text(*w.clip_reward));
    if (w.rescale_action) add("rescale_action", *w.rescale_action ? "true" : "false");
    if (w.record) add("record", config::yaml_scalar(*w.record));
    if (w.restart_stalled) add("restart_stalled", config::number_text(*w.restart_stalled));
  }
  return "wrappers: [" + text + "]\n";
}

}  // namespace mobula::rl
