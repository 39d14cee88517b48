#include "rl/records/scalar_events.h"

#include <boost/crc.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

namespace mobula::rl {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kBefore = 12, kAfter = 4;  // bytes of a record around its payload

std::uint32_t masked_crc(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return std::rotr(static_cast<std::uint32_t>(crc.checksum()), 15) + 0xa282ead8u;
}

template <class T>
void put_bytes(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
template <class T>
T get_bytes(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Protobuf's wire format: a field is a varint of (number << 3 | type), then the value.
enum Type : std::uint32_t { varint = 0, fixed64 = 1, sized = 2, fixed32 = 5 };

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_key(std::string& out, std::uint32_t field, Type type) {
  put_varint(out, field << 3 | type);
}
void put_sized(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_key(out, field, sized);
  put_varint(out, bytes.size());
  out += bytes;
}

std::string event(double wall_time, std::int64_t step) {
  std::string payload;
  put_key(payload, 1, fixed64);
  put_bytes(payload, wall_time);
  if (step != 0) {
    put_key(payload, 2, varint);
    put_varint(payload, static_cast<std::uint64_t>(step));
  }
  return payload;
}

std::string record(std::string_view payload) {
  std::string out;
  put_bytes(out, static_cast<std::uint64_t>(payload.size()));
  put_bytes(out, masked_crc(out));
  out += payload;
  put_bytes(out, masked_crc(payload));
  return out;
}

/// One field of a message; `bytes` is the content of a sized or fixed one.
struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
};

class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message) {}
  /// Nothing at the end, and where the message is damaged.
  std::optional<Field> next() {
    std::uint64_t key = 0;
    if (rest_.empty() || !take_varint(key)) return std::nullopt;
    Field field{.number = static_cast<std::uint32_t>(key >> 3)};
    std::uint64_t size = 0;
    switch (key & 7) {
      case varint:
        return take_varint(field.value) ? std::optional(field) : std::nullopt;
      case fixed64:
        size = 8;
        break;
      case fixed32:
        size = 4;
        break;
      case sized:
        if (!take_varint(size)) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
    if (size > rest_.size()) return std::nullopt;
    field.bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return field;
  }

 private:
  bool take_varint(std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  std::string_view rest_;
};

void add_scalars(std::string_view summary, ScalarEvent& event) {
  Reader values(summary);
  while (const auto value = values.next()) {
    if (value->number != 1) continue;
    auto& [tag, number] = event.scalars.emplace_back();
    Reader parts(value->bytes);
    while (const auto part = parts.next()) {
      if (part->number == 1) tag = part->bytes;
      if (part->number == 2 && part->bytes.size() == 4) number = get_bytes<float>(part->bytes);
    }
  }
}

ScalarEvent parse(std::string_view payload) {
  ScalarEvent event;
  Reader fields(payload);
  while (const auto field = fields.next()) {
    if (field->number == 1 && field->bytes.size() == 8) event.wall_time = get_bytes<double>(field->bytes);
    if (field->number == 2) event.step = static_cast<std::int64_t>(field->value);
    if (field->number == 5) add_scalars(field->bytes, event);
  }
  return event;
}

/// The record at the front, or nothing if it is torn or damaged.
std::string_view front_record(std::string_view file) {
  if (file.size() < kBefore + kAfter) return {};
  const auto size = get_bytes<std::uint64_t>(file);
  if (masked_crc(file.substr(0, 8)) != get_bytes<std::uint32_t>(file.substr(8))) return {};
  if (size > file.size() - kBefore - kAfter) return {};
  const auto payload = file.substr(kBefore, size);
  if (masked_crc(payload) != get_bytes<std::uint32_t>(file.substr(kBefore + size))) return {};
  return file.substr(0, kBefore + size + kAfter);
}

}  // namespace

std::string events_begin(double wall_time) {
  std::string payload = event(wall_time, 0);
  put_sized(payload, 3, "brain.Event:2");
  return record(payload);
}

std::string events_resume(double wall_time, std::int64_t step) {
  constexpr std::uint64_t kStart = 1;
  std::string session, payload = event(wall_time, step);
  put_key(session, 1, varint);
  put_varint(session, kStart);
  put_sized(payload, 7, session);
  return record(payload);
}

std::string scalar_event(double wall_time, std::int64_t step, Scalars scalars) {
  std::string summary, value;
  for (const auto& [tag, number] : scalars) {
    if (!std::isfinite(number)) continue;
    value.clear();
    put_sized(value, 1, tag);
    put_key(value, 2, fixed32);
    put_bytes(value, static_cast<float>(number));
    put_sized(summary, 1, value);
  }
  if (summary.empty()) return {};
  std::string payload = event(wall_time, step);
  put_sized(payload, 5, summary);
  return record(payload);
}

std::string filter_events(std::string_view file, const std::function<bool(const ScalarEvent&)>& keep) {
  std::string kept;
  for (;;) {
    const std::string_view whole = front_record(file);
    if (whole.empty()) return kept;
    if (keep(parse(whole.substr(kBefore, whole.size() - kBefore - kAfter)))) kept += whole;
    file.remove_prefix(whole.size());
  }
}

}  // namespace mobula::rl
