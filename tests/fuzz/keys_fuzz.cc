// Files of a cluster's keys, which people copy from machine to machine.
#include "runtime/net/keys.h"
#include "tests/fuzz/input_file.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  static const InputFile file;
  const auto keys = net::Keys::load(file.hold(input));
  if (!keys) return require(keys.error().code == ErrorCode::invalid && !keys.error().message.empty());
  require(keys->public_key.size() == 40 && keys->secret_key.size() == 40);
}

std::vector<Input> seeds() {
  // The pair that libzmq's own documents show.
  const std::string pair =
      "public Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\nsecret D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\n";
  return {bytes_of("# Keys of a cluster\nmobula-keys 1\n" + pair), bytes_of("mobula-keys 2\n" + pair),
          bytes_of("mobula-keys 1\nsecret D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\n")};
}

}  // namespace mobula::fuzz
