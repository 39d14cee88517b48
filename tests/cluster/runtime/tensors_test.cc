// LibTorch's tensors travel, and large ones are read where they lie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include <mobula/array.h>
#include <mobula/codec/torch.h>
#include <mobula/runtime.h>

namespace mobula {
namespace {

using namespace std::chrono_literals;

at::Tensor ramp(int n) {
  return at::arange(n * n, at::kDouble).reshape({n, n});
}
double sum_in_place(TensorView t) {
  return t->sum().item<double>();
}
double sum_of_own(at::Tensor t) {
  return t.fill_(1).sum().item<double>();
}
bool lies_apart_from_the_heap(TensorView t) {
  const auto heap = std::make_unique<double[]>(1);
  const auto distance = reinterpret_cast<std::intptr_t>(t->data_ptr()) - reinterpret_cast<std::intptr_t>(heap.get());
  return std::abs(distance) > (std::intptr_t{1} << 30);
}
void change(TensorView t) {
  t->add_(1);
}
Array<float> halves(int n) {
  ArrayBuilder<float> builder(static_cast<std::size_t>(n));
  at::from_blob(builder.data(), {n}).fill_(0.5);
  return std::move(builder).finish();
}

TEST(Tensors, AreReadInPlaceByTasksAndByTheDriver) {
  const Runtime rt = Runtime::start({.workers = 2});
  const Ref<at::Tensor> ref = rt.remote<ramp>(300);
  const double n = 300.0 * 300.0;
  EXPECT_EQ(rt.remote<sum_in_place>(ref).get(60s), n * (n - 1) / 2);
  EXPECT_TRUE(rt.remote<lies_apart_from_the_heap>(ref).get(60s));
  const TensorView first = view(ref), second = view(ref);
  EXPECT_EQ(first->data_ptr(), second->data_ptr()) << "one memory, no copies";
  EXPECT_EQ(first->sizes(), (std::vector<std::int64_t>{300, 300}));
  EXPECT_EQ((*first)[299][299].item<double>(), n - 1);
}

TEST(Tensors, OnesOwnCanBeChangedAndOthersCannot) {
  const Runtime rt = Runtime::start({.workers = 1});
  const Ref<at::Tensor> ref = rt.put(ramp(300));
  EXPECT_EQ(rt.remote<sum_of_own>(ref).get(60s), 300.0 * 300.0);
  at::Tensor own = ref.get();
  own.add_(1);
  EXPECT_EQ(own[0][0].item<double>(), 1);
  const Error error = rt.with({.max_retries = 0}).remote<change>(ref).try_get(60s).error();
  EXPECT_EQ(error.code, ErrorCode::worker_died);
  EXPECT_THAT(error.describe(), testing::HasSubstr("SIGSEGV"));
  EXPECT_TRUE(view(ref)->equal(ramp(300)));
}

TEST(Tensors, WhatLibTorchMakesOfAViewKeepsTheMemory) {
  at::Tensor row;
  {
    const Runtime rt = Runtime::start({.workers = 1});
    const TensorView whole = view(rt.put(ramp(300)));
    row = whole->select(0, 299);
    EXPECT_EQ(row.data_ptr<double>(), whole->data_ptr<double>() + 299 * 300);
  }
  EXPECT_EQ(row[299].item<double>(), 300.0 * 300.0 - 1);
}

TEST(Tensors, EveryKindArrivesAsItWas) {
  const Runtime rt = Runtime::start({.workers = 1});
  const auto back = [&](const at::Tensor& tensor) { return rt.put(tensor).get(); };
  for (const at::ScalarType type : {at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kHalf, at::kBFloat16,
                                    at::kFloat, at::kDouble, at::kBool, at::kComplexFloat}) {
    const at::Tensor one = at::arange(12, at::kFloat).reshape({3, 2, 2}).to(type);
    const at::Tensor got = back(one);
    EXPECT_EQ(got.scalar_type(), type);
    EXPECT_TRUE(got.equal(one)) << type;
    EXPECT_TRUE(view(rt.put(one))->equal(one)) << type;
  }
  EXPECT_FALSE(back(at::Tensor()).defined());
  EXPECT_FALSE(view(rt.put(at::Tensor()))->defined());
  EXPECT_EQ(back(at::ones({2, 0, 3})).sizes(), (std::vector<std::int64_t>{2, 0, 3}));
  EXPECT_EQ(back(at::scalar_tensor(7)).item<double>(), 7);
  // Another order in memory; a conjugate that was not yet computed.
  EXPECT_TRUE(back(ramp(100).t()).equal(ramp(100).t()));
  const at::Tensor complex = at::complex(ramp(3), ramp(3) + 1);
  EXPECT_TRUE(back(complex.conj()).equal(complex.conj().resolve_conj()));
  EXPECT_THAT([&] { rt.put(at::eye(3).to_sparse()); },
              testing::ThrowsMessage<TaskError>(testing::HasSubstr("to_dense()")));
}

TEST(Tensors, ATensorCanBeMadeInPlace) {
  const Runtime rt = Runtime::start({.workers = 1});
  const Array<float> array = rt.remote<halves>(100'000).get(60s);
  const at::Tensor tensor = at::from_blob(const_cast<float*>(array.data()), {100'000});
  EXPECT_EQ(tensor.sum().item<double>(), 50'000);
}

TEST(Tensors, BytesThatDisagreeAreRefused) {
  std::vector<std::byte> bytes = encode_to_bytes(ramp(3));
  EXPECT_TRUE(decode_from_bytes<at::Tensor>(bytes).equal(ramp(3)));
  for (std::size_t i = 0; i < 12 + 2 * 8; ++i) {  // the type, the number of sizes, and the sizes
    for (const int bit : {1, 64, 128}) {
      std::vector<std::byte> other = bytes;
      other[i] ^= static_cast<std::byte>(bit);
      const auto decode = [&] { return decode_from_bytes<at::Tensor>(other); };
      if (i < 4) {  // another type of the same size would be one
        try {
          decode();
        } catch (const TaskError& e) {
          EXPECT_EQ(e.code(), ErrorCode::bad_message);
        }
      } else {
        EXPECT_THROW(decode(), TaskError) << i;
      }
    }
  }
}

}  // namespace
}  // namespace mobula
