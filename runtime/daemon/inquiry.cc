#include "runtime/daemon/inquiry.h"

#include <cstring>
#include <type_traits>

namespace mobula::daemon {
namespace {

class Writer {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void text(const std::string& value) {
    number(static_cast<std::uint32_t>(value.size()));
    text_ += value;
  }
  void texts(const std::vector<std::string>& values) {
    number(static_cast<std::uint32_t>(values.size()));
    for (const std::string& value : values) text(value);
  }
  Bytes bytes() const { return Bytes(std::as_bytes(std::span(text_))); }

 private:
  std::string text_;
};

// Everything it returns after it has failed is empty.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : left_(bytes) {}
  template <class T>
  T number() {
    T value{};
    if (const auto from = take(sizeof(T)); !from.empty()) std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  std::string text() {
    const auto from = take(number<std::uint32_t>());
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }
  // A count of things that take `least` bytes each: never more than there can be.
  std::uint32_t count(std::size_t least) {
    const auto count = number<std::uint32_t>();
    if (count > left_.size() / least) failed_ = true;
    return failed_ ? 0 : count;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> values(count(4));
    for (std::string& value : values) value = text();
    return values;
  }
  bool whole() const { return !failed_ && left_.empty(); }

 private:
  std::span<const std::byte> take(std::size_t size) {
    if (failed_ || size > left_.size()) {
      failed_ = true;
      return {};
    }
    const auto from = left_.first(size);
    left_ = left_.subspan(size);
    return from;
  }
  std::span<const std::byte> left_;
  bool failed_ = false;
};

}  // namespace

Bytes encode(const Question& question) {
  Writer to;
  to.number(question.id);
  to.number(question.number);
  to.number(static_cast<std::uint8_t>(question.topic));
  to.texts(question.words);
  return to.bytes();
}

Bytes encode(const Answer& answer) {
  Writer to;
  to.number(answer.id);
  to.number(answer.number);
  to.text(answer.error);
  to.number(static_cast<std::uint32_t>(answer.rows.size()));
  for (const Row& row : answer.rows) to.texts(row);
  return to.bytes();
}

std::optional<Question> decode_question(std::span<const std::byte> bytes) {
  Reader from(bytes);
  Question question;
  question.id = from.number<std::uint64_t>();
  question.number = from.number<std::uint64_t>();
  question.topic = static_cast<Topic>(from.number<std::uint8_t>());
  question.words = from.texts();
  if (!from.whole()) return {};
  return question;
}

std::optional<Answer> decode_answer(std::span<const std::byte> bytes) {
  Reader from(bytes);
  Answer answer;
  answer.id = from.number<std::uint64_t>();
  answer.number = from.number<std::uint64_t>();
  answer.error = from.text();
  answer.rows.resize(from.count(4));
  for (Row& row : answer.rows) row = from.texts();
  if (!from.whole()) return {};
  return answer;
}

}  // namespace mobula::daemon
