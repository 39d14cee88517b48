#include "runtime/config/keys.h"

#include <algorithm>
#include <utility>

#include "runtime/config/dump.h"

namespace mobula::config {

namespace {

class Lister : public Fields {
 public:
  std::vector<Key> keys;

 private:
  // What a value looks like: its type, and itself as YAML. Structs have no type: their keys are listed instead.
  struct Shape {
    std::string type;
    std::string value;
  };

  bool enter(std::string_view name, const FieldInfo& info) override {
    outer_.push_back({path_, info_});
    path_ += (path_.empty() ? "" : ".") + std::string(name);
    info_ = &info;
    return true;
  }
  void leave() override {
    path_ = outer_.back().path;
    info_ = outer_.back().info;
    outer_.pop_back();
  }

  void add(Shape shape) {
    if (shape_ != nullptr) {
      *shape_ = std::move(shape);
      return;
    }
    keys.push_back({.path = path_,
                    .type = std::move(shape.type),
                    .default_value = info_->required ? "" : std::move(shape.value),
                    .range = range_text(*info_),
                    .unit = std::string(info_->unit),
                    .help = std::string(info_->help),
                    .required = info_->required});
  }

  // The shape of what `visit` visits, listing nothing.
  template <class Visit>
  Shape shape_of(Visit visit) {
    Shape shape;
    Shape* const outer = std::exchange(shape_, &shape);
    visit();
    shape_ = outer;
    return shape;
  }

  void boolean(bool& value) override { add({"true or false", value ? "true" : "false"}); }
  void integer(std::int64_t& value, std::int64_t, std::int64_t) override { add({"integer", std::to_string(value)}); }
  void natural(std::uint64_t& value, std::uint64_t) override { add({"integer", std::to_string(value)}); }
  void number(double& value, bool single_precision) override {
    add({"number", single_precision ? number_text(static_cast<float>(value)) : number_text(value)});
  }
  void text(std::string& value) override { add({"text", yaml_scalar(value)}); }

  void list(List& value) override {
    const std::string element = shape_of([&] { value.visit_example(*this); }).type;
    if (element.empty()) {
      if (shape_ != nullptr) return;
      const std::string outer = path_;
      path_ += "[]";
      value.visit_example(*this);
      path_ = outer;
      return;
    }
    Shape shape{"list of " + element + (element == "integer" || element == "number" || element == "text" ? "s" : ""),
                "["};
    for (std::size_t i = 0; i < value.size(); ++i) {
      shape.value += (i == 0 ? "" : ", ") + shape_of([&] { value.visit(i, *this); }).value;
    }
    shape.value += "]";
    add(std::move(shape));
  }

  void optional(Optional& value) override {
    if (value.has_value()) {
      value.visit(*this);
      return;
    }
    Shape shape = shape_of([&] { value.visit_example(*this); });
    if (shape.type.empty()) {
      if (shape_ == nullptr) value.visit_example(*this);  // the keys of a struct that is absent by default
    } else {
      shape.value = "~";
      add(std::move(shape));
    }
  }

  void number_or_group(NumberOrGroup& value) override { add({"number or schedule", dump_value(value)}); }

  void group(Group& value) override {
    if (shape_ == nullptr) value.describe(*this);
  }

  struct Outer {
    std::string path;
    const FieldInfo* info;
  };
  std::vector<Outer> outer_;
  std::string path_;
  const FieldInfo* info_ = nullptr;
  Shape* shape_ = nullptr;  // where the shape of the visited value goes; null: it is listed
};

}  // namespace

std::vector<Key> describe_group(Fields::Group& group) {
  Lister lister;
  group.describe(lister);
  return std::move(lister.keys);
}

std::string range_text(const FieldInfo& info) {
  if (!info.choices.empty()) {
    std::string text = "one of ";
    for (std::size_t i = 0; i < info.choices.size(); ++i) text += (i == 0 ? "" : ", ") + std::string(info.choices[i]);
    return text;
  }
  // Where a field gives both an open and a closed bound, the open one is shown; readers check both.
  const bool open_low = info.above.has_value();
  const bool open_high = info.below.has_value();
  const auto low = open_low ? info.above : info.min;
  const auto high = open_high ? info.below : info.max;
  if (low && high) {
    return (open_low ? "(" : "[") + number_text(*low) + ", " + number_text(*high) + (open_high ? ")" : "]");
  }
  if (low) return (open_low ? "> " : ">= ") + number_text(*low);
  if (high) return (open_high ? "< " : "<= ") + number_text(*high);
  return {};
}

std::string format_keys(std::span<const Key> keys, int indent) {
  std::size_t width = 0;
  for (const auto& key : keys) width = std::max(width, key.path.size());
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  std::string text;
  for (const auto& key : keys) {
    text += margin + key.path + std::string(width - key.path.size() + 2, ' ');
    text += key.required ? "required" : "= " + key.default_value;
    text += "  (" + key.type;
    if (!key.range.empty()) text += ", " + key.range;
    if (!key.unit.empty()) text += ", " + key.unit;
    text += ")\n";
    if (!key.help.empty()) text += margin + std::string(width + 2, ' ') + key.help + "\n";
  }
  return text;
}

}  // namespace mobula::config
