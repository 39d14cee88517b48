// Reading golden files: JSON with the results of reference programs.
//
// They lie in tests/golden/<area>, or in the folder that MOBULA_GOLDEN_DIR names, so that anyone can check further
// cases of the same form: either a folder with the areas as sub-folders (rl, traffic, tune, fairness) or one area by
// itself.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace mobula::golden {

using nlohmann::json;

inline std::filesystem::path folder(const std::string& area) {
  const char* given = std::getenv("MOBULA_GOLDEN_DIR");
  if (!given || !*given) return tests::source_dir() / "tests/golden" / area;
  const std::filesystem::path root(given);
  return std::filesystem::is_directory(root / area) ? root / area : root;
}

// All JSON files of the area, sorted.
inline std::vector<std::filesystem::path> all_files(const std::string& area) {
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder(area), missing)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Whether a file belongs to `name`: name.json, or name_more.json for further cases of it.
inline bool belongs(const std::filesystem::path& file, const std::string& name) {
  const std::string stem = file.stem().string();
  return stem == name || stem.rfind(name + "_", 0) == 0;
}

// Calls visit(document, case) for each case of each file of that name. A test that read no case has failed.
inline void for_each_case(const std::string& area, const std::string& name,
                          const std::function<void(const json& document, const json& golden_case)>& visit) {
  int cases = 0;
  for (const auto& file : all_files(area)) {
    if (!belongs(file, name)) continue;
    std::ifstream stream(file);
    const json document = json::parse(stream);
    for (const json& golden_case : document.at("cases")) {
      const std::string id = golden_case.contains("id") ? golden_case.at("id").dump() : std::to_string(cases);
      SCOPED_TRACE(file.string() + ", case " + id);
      visit(document, golden_case);
      ++cases;
    }
  }
  EXPECT_GT(cases, 0) << "no case of " << name << " in " << folder(area);
}

// Prints the files of the area that belong to none of the names.
inline void list_not_covered(const std::string& area, const std::vector<std::string>& names) {
  for (const auto& file : all_files(area)) {
    if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return belongs(file, name); })) {
      std::cout << "not covered: " << file.string() << '\n';
    }
  }
}

// |actual - expected| <= tolerance * max(1, |expected|).
inline void expect_close(double actual, double expected, double tolerance, const std::string& what) {
  EXPECT_NEAR(actual, expected, tolerance * std::max(1.0, std::abs(expected))) << what;
}

// The numbers of a (nested) array in order.
template <class T = double>
std::vector<T> numbers(const json& array) {
  std::vector<T> all;
  const std::function<void(const json&)> walk = [&](const json& node) {
    if (node.is_array()) {
      for (const json& child : node) walk(child);
    } else if (node.is_boolean()) {
      all.push_back(static_cast<T>(node.get<bool>()));
    } else {
      all.push_back(node.get<T>());
    }
  };
  walk(array);
  return all;
}

}  // namespace mobula::golden
