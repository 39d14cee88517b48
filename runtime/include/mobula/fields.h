// The one description of a configuration struct. Each struct names its fields once:
//
//   struct Config {
//     double main_demand = 900;
//     std::string policy = "mlp";
//     void describe(mobula::Fields& f) {
//       f("main_demand", main_demand, {.unit = "vehicles/h", .min = 0, .max = 3600, .help = "Vehicles an hour."});
//       f("policy", policy, {.choices = {"mlp", "linear"}, .help = "Shape of the network."});
//     }
//   };
//
// and from this come reading YAML with checks, --set overrides, the dump of the resolved values, and the help pages.
// The values that a default-constructed struct holds are the defaults. `describe` must visit the same names whatever
// the values. A struct whose fields restrict each other adds `std::string problem() const`: empty, or one sentence that
// says what is wrong; it is asked after all fields were read.
//
// Fields may be bool, integers, float, double, std::string, std::optional, std::vector and std::array of these, and
// structs that have `describe` themselves. A described type that can also be written as a plain number has, beside
// that, is_number(), number() (a reference, after making it one) and range() (the smallest and the largest value it
// takes, which the bounds of the field hold for), and is constructible from a double: rl::Schedule is one.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mobula {

class Fields;

template <class T>
concept Described = requires(T& t, Fields& f) {
  t.describe(f);
};

template <class T>
concept NumberOrDescribed = Described<T> && std::constructible_from<T, double> && requires(T& t, const T& c) {
  { c.is_number() } -> std::same_as<bool>;
  { t.number() } -> std::same_as<double&>;
  { c.range() } -> std::same_as<std::pair<double, double>>;
};

// What is said of a field beside its name and type. Bounds hold for each number of a list. Members are in the order in
// which designated initialisers have to name them.
struct FieldInfo {
  std::string_view unit{};                  // "s", "vehicles/h"; for people
  std::optional<double> min{};              // smallest allowed value
  std::optional<double> max{};              // largest allowed value
  std::optional<double> above{};            // values must be greater than this
  std::optional<double> below{};            // values must be less than this
  std::vector<std::string_view> choices{};  // allowed texts; empty: any
  bool required = false;                    // must be written; the default is only a placeholder
  std::string_view help{};                  // one sentence
};

// Visitor over the fields of a struct. Readers, writers and listings derive from it; structs only call it.
class Fields {
 public:
  virtual ~Fields() = default;

  template <class T>
  void operator()(std::string_view name, T& member, const FieldInfo& info = {}) {
    if (enter(name, info)) {
      visit(member);
      leave();
    }
  }

  // A list whose elements are visited one by one; resize() is refused (false) by a fixed-size array of another size.
  struct List {
    virtual std::size_t size() const = 0;
    virtual bool resize(std::size_t n) = 0;
    virtual bool fixed() const = 0;
    virtual void visit(std::size_t i, Fields& f) = 0;
    virtual void visit_example(Fields& f) = 0;  // a value-initialised element, for listings

   protected:
    ~List() = default;
  };
  struct Optional {
    virtual bool has_value() const = 0;
    virtual void reset() = 0;
    virtual void visit(Fields& f) = 0;          // creates the value if there is none
    virtual void visit_example(Fields& f) = 0;  // a value-initialised one, for listings

   protected:
    ~Optional() = default;
  };
  struct Group {
    virtual void describe(Fields& f) = 0;
    virtual std::string problem() const = 0;

   protected:
    ~Group() = default;
  };

  // Written as a plain number or as a mapping of which one key is there.
  struct NumberOrGroup {
    virtual bool is_number() const = 0;
    virtual double& number() = 0;  // makes it a number
    virtual Group& group() = 0;    // makes it no number; the group that describes what it is then
    virtual std::pair<double, double> range() const = 0;

   protected:
    ~NumberOrGroup() = default;
  };

  template <class T>
  void visit(T& value);

 protected:
  virtual bool enter(std::string_view name, const FieldInfo& info) = 0;  // false: skip the field
  virtual void leave() = 0;
  virtual void boolean(bool& value) = 0;
  virtual void integer(std::int64_t& value, std::int64_t low, std::int64_t high) = 0;
  virtual void natural(std::uint64_t& value, std::uint64_t high) = 0;
  virtual void number(double& value, bool single_precision) = 0;
  virtual void text(std::string& value) = 0;
  virtual void list(List& value) = 0;
  virtual void optional(Optional& value) = 0;
  virtual void group(Group& value) = 0;
  virtual void number_or_group(NumberOrGroup& value) {
    value.is_number() ? number(value.number(), false) : group(value.group());
  }
};

namespace fields_detail {

template <class T>
struct Is {
  static constexpr bool optional = false, vector = false, array = false;
};
template <class T>
struct Is<std::optional<T>> {
  static constexpr bool optional = true, vector = false, array = false;
};
template <class T>
struct Is<std::vector<T>> {
  static constexpr bool optional = false, vector = true, array = false;
};
template <class T, std::size_t N>
struct Is<std::array<T, N>> {
  static constexpr bool optional = false, vector = false, array = true;
};

template <class C>
struct ListOf final : Fields::List {
  C& c;
  explicit ListOf(C& container) : c(container) {}
  std::size_t size() const override { return c.size(); }
  bool fixed() const override { return Is<C>::array; }
  bool resize(std::size_t n) override {
    if constexpr (Is<C>::array) {
      return n == c.size();
    } else {
      // Not resize(n): elements of a list that is written anew start from their defaults.
      c.clear();
      c.resize(n);
      return true;
    }
  }
  void visit(std::size_t i, Fields& f) override {
    if constexpr (std::is_same_v<C, std::vector<bool>>) {
      bool value = c[i];
      f.visit(value);
      c[i] = value;
    } else {
      f.visit(c[i]);
    }
  }
  void visit_example(Fields& f) override {
    typename C::value_type example{};
    f.visit(example);
  }
};

template <class T>
struct OptionalOf final : Fields::Optional {
  std::optional<T>& o;
  explicit OptionalOf(std::optional<T>& value) : o(value) {}
  bool has_value() const override { return o.has_value(); }
  void reset() override { o.reset(); }
  void visit(Fields& f) override {
    if (!o) o.emplace();
    f.visit(*o);
  }
  void visit_example(Fields& f) override {
    T example{};
    f.visit(example);
  }
};

template <class T>
struct GroupOf final : Fields::Group {
  T& t;
  explicit GroupOf(T& value) : t(value) {}
  void describe(Fields& f) override { t.describe(f); }
  std::string problem() const override {
    if constexpr (requires(const T& c) { std::string(c.problem()); }) {
      return std::string(t.problem());
    } else {
      return {};
    }
  }
};

template <class T>
struct NumberOrGroupOf final : Fields::NumberOrGroup {
  T& t;
  GroupOf<T> described;
  explicit NumberOrGroupOf(T& value) : t(value), described(value) {}
  bool is_number() const override { return t.is_number(); }
  double& number() override { return t.number(); }
  Fields::Group& group() override { return described; }
  std::pair<double, double> range() const override { return t.range(); }
};

template <class T>
inline constexpr bool unsupported = false;

}  // namespace fields_detail

template <class T>
void Fields::visit(T& value) {
  namespace detail = fields_detail;
  if constexpr (std::same_as<T, bool>) {
    boolean(value);
  } else if constexpr (std::signed_integral<T>) {
    std::int64_t wide = value;
    integer(wide, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    value = static_cast<T>(wide);
  } else if constexpr (std::unsigned_integral<T>) {
    std::uint64_t wide = value;
    natural(wide, std::numeric_limits<T>::max());
    value = static_cast<T>(wide);
  } else if constexpr (std::floating_point<T>) {
    double wide = static_cast<double>(value);
    number(wide, std::same_as<T, float>);
    value = static_cast<T>(wide);
  } else if constexpr (std::same_as<T, std::string>) {
    text(value);
  } else if constexpr (detail::Is<T>::optional) {
    detail::OptionalOf<typename T::value_type> wrapped(value);
    optional(wrapped);
  } else if constexpr (detail::Is<T>::vector || detail::Is<T>::array) {
    detail::ListOf<T> wrapped(value);
    list(wrapped);
  } else if constexpr (NumberOrDescribed<T>) {
    detail::NumberOrGroupOf<T> wrapped(value);
    number_or_group(wrapped);
  } else if constexpr (Described<T>) {
    detail::GroupOf<T> wrapped(value);
    group(wrapped);
  } else {
    static_assert(
        detail::unsupported<T>,
        "a field may be bool, an integer, float, double, std::string, std::optional, std::vector, std::array, "
        "or a struct with `void describe(mobula::Fields&)`");
  }
}

}  // namespace mobula
