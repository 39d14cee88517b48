#include <mobula/fields.h>
#include <mobula/random.h>

#include <iostream>

int main() {
  mobula::Random random(7, mobula::Stream::user);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) sum += random.uniform();
  std::cout << "mean of 10,000 draws: " << sum / 10'000 << '\n';
  return sum > 4'900 && sum < 5'100 ? 0 : 1;
}
