// Streams: the items of a call that has not ended, from the replies that bring them to the reader that takes them.
#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

void Owner::Impl::on_item(const ProcessId& from, const wire::ReplyHeader& header, wire::Value&& value,
                          std::span<const RefId> contained, Time now) {
  const RefHandle ref{header.index, header.generation};
  RefEntry* entry = refs_.find(ref);
  const TaskEntry* task = entry != nullptr && entry->owned() ? tasks_.find(entry->task) : nullptr;
  StreamEntry* stream = entry != nullptr ? entry->stream() : nullptr;
  // Not wanted: of an earlier attempt, of a stream that was closed, or one that has come before.
  if (task == nullptr || stream == nullptr || task->attempt != header.attempt ||
      task->state != TaskEntry::State::sent || entry->count == 0 || header.item != stream->received) {
    if (!contained.empty()) {
      sink_.send(from, wire::ReleaseHeld{header.index, header.generation, header.attempt, header.item});
    }
    if (value.kind == wire::ValueKind::object) {
      sink_.send(node_process(value.location.node), wire::FreeObject{value.location});
    }
    return;
  }
  ++stream->received;
  const RefHandle item = refs_.emplace();
  stream->ready.push_back(item);
  if (!contained.empty()) take_contained(from, header, contained, item);
  become(item, std::move(value), now);
  if (RefEntry& whole = refs_[ref]; whole.watched) {
    whole.watched = false;
    sink_.ready(ref);
  }
}

RefHandle Owner::Impl::next(RefHandle ref) {
  StreamEntry& stream = *refs_[ref].stream();
  if (stream.ready.empty()) return {};
  const RefHandle item = stream.ready.front();
  stream.ready.pop_front();
  ++stream.taken;
  const TaskEntry* task = tasks_.find(refs_[ref].task);
  // Told in steps of half a window: the maker is never further ahead than the window, and rarely waits for news.
  if (task != nullptr && task->state == TaskEntry::State::sent &&
      stream.taken - stream.told >= std::max(1u, stream.window / 2)) {
    stream.told = stream.taken;
    const ProcessId worker =
        task->kind == wire::CallKind::task ? leases_[task->lease].worker : actor_of(task->actor).worker;
    sink_.send(worker, wire::StreamConsumed{ref.index, ref.generation, task->attempt, stream.taken});
  }
  return item;
}

void Owner::Impl::close_stream(RefHandle ref, Time now) {
  StreamEntry& stream = *refs_[ref].stream();
  for (const RefHandle item : std::exchange(stream.ready, {})) release(item, now);
  if (const TaskHandle handle = refs_[ref].task; tasks_.find(handle) != nullptr && !tasks_[handle].cancelled) {
    cancel_task(handle, {}, now);
  }
}

}  // namespace mobula
