// The table of what can be called, and Function<> on the wire.
#include <mobula/detail/registry.h>

#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>

#include <mobula/codec.h>
#include <mobula/function.h>

#include "runtime/base/ids.h"
#include "runtime/process/modules.h"

namespace mobula::detail {
namespace {

// Constant-initialised: entries register themselves during the initialisation of other translation units, and when a
// plug-in is loaded.
constinit std::atomic<const FunctionEntry*> entries = nullptr;

// Ids need the modules' build-ids, so they are looked up when first asked for. Plug-ins may add entries at any time.
class Table {
 public:
  FunctionId id_of(const FunctionEntry& entry) {
    std::lock_guard lock(mutex_);
    refresh();
    return ids_.at(&entry);
  }
  const FunctionEntry* find(const FunctionId& id) {
    std::lock_guard lock(mutex_);
    refresh();
    const auto found = by_id_.find({id.module, id.offset});
    return found == by_id_.end() ? nullptr : found->second;
  }

 private:
  void refresh() {
    const FunctionEntry* const newest = entries.load(std::memory_order_acquire);
    for (const FunctionEntry* e = newest; e != known_; e = e->next) {
      const auto place = process::locate_code(e);
      if (!place) continue;  // cannot be: the entry lies in a module that is running
      ids_[e] = {place->module, place->offset};
      by_id_[{place->module, place->offset}] = e;
    }
    known_ = newest;
  }
  std::mutex mutex_;
  const FunctionEntry* known_ = nullptr;
  std::unordered_map<const FunctionEntry*, FunctionId> ids_;
  std::unordered_map<mobula::FunctionId, const FunctionEntry*> by_id_;
};
Table& table() {
  static Table* const the = new Table;
  return *the;
}

}  // namespace

FunctionEntry::FunctionEntry(Kind entry_kind, std::string_view entry_name, std::string_view entry_type,
                             void (*entry_run)(Invocation&), void (*entry_target)(), bool is_coroutine,
                             void (*entry_save)(Invocation&), void (*entry_load)(Invocation&, const Bytes&))
    : kind(entry_kind),
      name(entry_name),
      type(entry_type),
      run(entry_run),
      target(entry_target),
      coroutine(is_coroutine),
      save(entry_save),
      load(entry_load) {
  next = entries.load(std::memory_order_relaxed);
  while (!entries.compare_exchange_weak(next, this, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

FunctionId id_of(const FunctionEntry& entry) {
  // A caller names the same function again and again.
  thread_local const FunctionEntry* last = nullptr;
  thread_local FunctionId last_id;
  if (last != &entry) {
    last_id = table().id_of(entry);
    last = &entry;
  }
  return last_id;
}

const FunctionEntry* find_function(const FunctionId& id) {
  thread_local const FunctionEntry* last = nullptr;
  thread_local FunctionId last_id;
  if (last == nullptr || last_id != id) {
    const FunctionEntry* const found = table().find(id);
    if (found == nullptr) return nullptr;
    last = found;
    last_id = id;
  }
  return last;
}

void encode_function(Encoder& e, const FunctionEntry* entry) {
  e(entry ? id_of(*entry) : FunctionId{});
}

const FunctionEntry* decode_function(Decoder& d, std::string_view type) {
  const auto id = d.read<FunctionId>();
  if (id == FunctionId{}) return nullptr;
  const FunctionEntry* const entry = find_function(id);
  if (entry == nullptr) {
    throw TaskError({.code = ErrorCode::build_mismatch,
                     .message = "decoding a Function: this process does not have " +
                                to_string(mobula::FunctionId{id.module, id.offset}) +
                                "; both sides must run the same build of the program"});
  }
  if (entry->kind != FunctionEntry::Kind::value || entry->type != type) {
    throw TaskError(
        {.code = ErrorCode::build_mismatch,
         .message = "decoding a Function: \"" + std::string(entry->name) + "\" is not a " + std::string(type)});
  }
  return entry;
}

}  // namespace mobula::detail
