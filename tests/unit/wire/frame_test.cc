#include <gtest/gtest.h>

#include <cstring>

#include <mobula/random.h>

#include "runtime/wire/codec.h"

namespace mobula::wire {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

Bytes some_call() {
  const auto args = bytes_of("arguments");
  const auto first = bytes_of("first");
  const Bytes second = encode_location({{5}, 4096, 1000, 1});
  const std::vector<Dependency> deps{{DependencyKind::inline_value, {{{1}, 2, 3}, 4, 5}, first},
                                     {DependencyKind::object, {{{1}, 2, 3}, 6, 7}, second.span()}};
  CallHeader header;
  header.kind = CallKind::task;
  header.index = 11;
  header.args_bytes = static_cast<std::uint32_t>(args.size());
  header.deps = 2;
  Bytes frame;
  write_call(header, args, deps, frame.resize_for_overwrite(call_size(header, deps)));
  return frame;
}

Bytes some_reply() {
  const auto payload = bytes_of("a result");
  const std::vector<RefId> contained{{{{1}, 2, 3}, 4, 5}, {{{1}, 2, 3}, 6, 7}};
  ReplyHeader header;
  header.index = 11;
  header.contained_refs = 2;
  header.bytes = static_cast<std::uint32_t>(payload.size());
  Bytes frame;
  write_reply(header, payload, contained, frame.resize_for_overwrite(reply_size(header)));
  return frame;
}

TEST(CallFrame, ComesApartAsItWasPutTogether) {
  const Bytes frame = some_call();
  auto call = parse_call(frame.span());
  ASSERT_TRUE(call.ok()) << call.error().message;
  EXPECT_EQ(call->header.index, 11u);
  EXPECT_EQ(std::vector(call->args.begin(), call->args.end()), bytes_of("arguments"));
  const Dependency first = call->next_dependency();
  EXPECT_EQ(first.kind, DependencyKind::inline_value);
  EXPECT_EQ(first.ref.index, 4u);
  EXPECT_EQ(std::vector(first.bytes.begin(), first.bytes.end()), bytes_of("first"));
  const Dependency second = call->next_dependency();
  EXPECT_EQ(second.kind, DependencyKind::object);
  EXPECT_EQ(decode_location(second.bytes)->bytes, 1000u);
}

TEST(ReplyFrame, ComesApartAsItWasPutTogether) {
  const Bytes frame = some_reply();
  const auto reply = parse_reply(frame.span());
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(std::vector(reply->payload.begin(), reply->payload.end()), bytes_of("a result"));
  ASSERT_EQ(reply->contained.size(), 2u);
  EXPECT_EQ(reply->contained[1].index, 6u);
}

TEST(CallFrame, RefusesEveryTruncation) {
  const Bytes frame = some_call();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(parse_call(frame.span().first(size)).ok()) << size;
  }
}

TEST(ReplyFrame, RefusesEveryTruncation) {
  const Bytes frame = some_reply();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(parse_reply(frame.span().first(size)).ok()) << size;
  }
}

TEST(CallFrame, NamesAnEnvelopeOfAnotherVersion) {
  Bytes frame = some_call();
  const std::uint16_t version = envelope_version + 1;
  std::memcpy(frame.data(), &version, sizeof version);
  const auto call = parse_call(frame.span());
  ASSERT_FALSE(call.ok());
  EXPECT_EQ(call.error().code, ErrorCode::bad_message);
  EXPECT_NE(call.error().message.find("envelope version 4, this build reads 3"), std::string::npos);
}

TEST(Frames, SurviveRandomDamage) {
  Random random(5, Stream::user);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes frame = round % 2 == 0 ? some_call() : some_reply();
    for (std::uint32_t flips = 1 + random.below(6); flips > 0; --flips) {
      frame.data()[random.below(static_cast<std::uint32_t>(frame.size()))] = static_cast<std::byte>(random.below(256));
    }
    if (round % 2 == 0) {
      auto call = parse_call(frame.span());
      if (!call.ok()) ++refused;
      std::size_t seen = 0;
      if (call.ok()) {
        for (std::uint32_t i = 0; i < call->header.deps; ++i) seen += call->next_dependency().bytes.size();
      }
      EXPECT_LE(seen, frame.size());
    } else {
      const auto reply = parse_reply(frame.span());
      if (!reply.ok()) ++refused;
      if (reply.ok()) {
        EXPECT_LE(reply->payload.size() + reply->contained.size_bytes(), frame.size());
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace mobula::wire
