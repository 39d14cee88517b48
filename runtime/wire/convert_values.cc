// Copies of objects, and values that the head keeps: their part of the union of messages.
#include "runtime/wire/convert.h"

namespace mobula::wire::convert {

namespace {

struct Writer {
  schema::Message::Builder to;

  void operator()(const WantCopies& m) {
    auto b = to.initWantCopies();
    convert::write(b.initRef(), m.ref);
    convert::write(b.initLocation(), m.location);
    b.setCopies(m.copies);
    b.setDurable(m.durable);
    convert::write(b.initHolders(static_cast<unsigned>(m.holders.size())), m.holders);
  }
  void operator()(const WatchCopies& m) { convert::write(to.initWatchCopies(), m.ref); }
  void operator()(const CopiesHeld& m) {
    auto b = to.initCopiesHeld();
    convert::write(b.initRef(), m.ref);
    b.setCopies(m.copies);
    convert::write(b.initError(), m.error);
  }
  void operator()(const KeepValue& m) {
    auto b = to.initKeepValue();
    b.setTag(m.tag);
    convert::write(b.initAsker(), m.asker);
    convert::write(b.initValue(), m.value);
    b.setCopies(m.copies);
    b.setPassing(m.passing);
    write_list([&](unsigned n) { return b.initContained(n); }, m.contained);
  }
  void operator()(const ValueKept& m) {
    auto b = to.initValueKept();
    b.setTag(m.tag);
    convert::write(b.initRef(), m.ref);
    convert::write(b.initValue(), m.value);
  }
  template <class Other>
  void operator()(const Other&) {}  // written elsewhere
};

}  // namespace

void write_values(schema::Message::Builder to, const Message& from) {
  std::visit(Writer{to}, from);
}

bool read_values(schema::Message::Reader from, Message& message) {
  using M = schema::Message;
  switch (from.which()) {
    case M::WANT_COPIES: {
      const auto r = from.getWantCopies();
      message =
          WantCopies{read(r.getRef()), read(r.getLocation()), r.getCopies(), r.getDurable(), read(r.getHolders())};
      return true;
    }
    case M::WATCH_COPIES:
      message = WatchCopies{read(from.getWatchCopies())};
      return true;
    case M::COPIES_HELD: {
      const auto r = from.getCopiesHeld();
      message = CopiesHeld{read(r.getRef()), r.getCopies(), read(r.getError())};
      return true;
    }
    case M::KEEP_VALUE: {
      const auto r = from.getKeepValue();
      message = KeepValue{r.getTag(),    read(r.getAsker()), read(r.getValue()),
                          r.getCopies(), r.getPassing(),     read_list<RefId>(r.getContained())};
      return true;
    }
    case M::VALUE_KEPT: {
      const auto r = from.getValueKept();
      message = ValueKept{r.getTag(), read(r.getRef()), read(r.getValue())};
      return true;
    }
    default:
      return false;
  }
}

}  // namespace mobula::wire::convert
