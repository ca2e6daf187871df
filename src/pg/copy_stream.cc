#include "pg/copy_stream.h"

#include <charconv>
#include <optional>

#include "pg/wire.h"

namespace holdfast {
namespace {

// The number in a CommandComplete body: "COPY 45000".
uint64_t decode_row_count(const std::string& tag) {
  uint64_t rows = 0;
  size_t space = tag.rfind(' ');
  if (space != std::string::npos)
    std::from_chars(tag.data() + space + 1, tag.data() + tag.size(), rows);
  return rows;
}

[[noreturn]] void unexpected(char type) {
  throw Error(ErrorCode::internal,
              std::string("the server sent a message '") + type + "' that does not belong to COPY");
}

void hand_on_row(WireReader& reader, CopyOutHandler& handler) {
  bool row_starts = true;
  do {
    ByteView part = reader.body_part();
    handler.row_part(part, row_starts, reader.body_left() == 0);
    row_starts = false;
  } while (reader.body_left() > 0);
}

}  // namespace

uint64_t copy_out(Connection& connection, const std::string& sql, CopyOutHandler& handler) {
  WireSocket socket(connection);
  WireReader reader(socket);
  socket.send(as_bytes(encode_query(sql)), [] {});
  std::optional<Error> failure;
  uint64_t rows = 0;
  while (true) {
    char type = reader.next();
    switch (type) {
      case 'd':
        hand_on_row(reader, handler);
        break;
      case 'C':
        rows = decode_row_count(reader.body().c_str());
        break;
      case 'E':
        failure = decode_error(reader.body());
        break;
      case 'H':  // CopyOutResponse
      case 'c':  // CopyDone
      case 'N':  // NoticeResponse
      case 'S':  // ParameterStatus
      case 'A':
        reader.body();
        break;
      case 'Z':
        reader.body();
        if (failure) throw *failure;
        return rows;
      default:
        unexpected(type);
    }
  }
}

struct CopyIn::State {
  explicit State(Connection& connection) : socket(connection), reader(socket) {}

  // Handles one message; true at ReadyForQuery.
  bool handle(char type) {
    switch (type) {
      case 'G':
        ready_for_data = true;
        break;
      case 'C':
        rows = decode_row_count(reader.body().c_str());
        return false;
      case 'E':
        failure = decode_error(reader.body());
        return false;
      case 'N':
      case 'S':
      case 'A':
        break;
      case 'Z':
        reader.body();
        return true;
      default:
        unexpected(type);
    }
    reader.body();
    return false;
  }
  void handle_available() {
    while (!idle && reader.poll()) idle = handle(reader.next());
  }
  void handle_to_end() {
    while (!idle) idle = handle(reader.next());
  }
  void send(ByteView bytes) {
    socket.send(bytes, [this] { handle_available(); });
  }

  WireSocket socket;
  WireReader reader;
  bool ready_for_data = false;
  bool idle = false;  // ReadyForQuery has come: libpq may use the connection again
  std::optional<Error> failure;
  uint64_t rows = 0;
};

CopyIn::CopyIn(Connection& connection, const std::string& sql)
    : state_(std::make_unique<State>(connection)) {
  state_->send(as_bytes(encode_query(sql)));
  while (!state_->ready_for_data && !state_->idle)
    state_->idle = state_->handle(state_->reader.next());
  if (state_->failure) throw *state_->failure;
  if (state_->idle) throw Error(ErrorCode::internal, "the server did not start the COPY");
}

CopyIn::~CopyIn() {
  if (state_->idle) return;
  try {
    constexpr uint8_t kCopyFail[] = {'f', 0, 0, 0, 5, 0};
    state_->send(kCopyFail);
    state_->handle_to_end();
  } catch (const Error&) {
    // The connection is lost, and with it the COPY: nothing of it is kept.
  }
}

void CopyIn::write(ByteView text) {
  constexpr size_t kMessageBytesMax = size_t{1} << 29;
  while (!text.empty()) {
    ByteView part = text.first(std::min(text.size(), kMessageBytesMax));
    text = text.subspan(part.size());
    uint8_t header[5] = {'d'};
    store_be32(header + 1, static_cast<uint32_t>(part.size() + 4));
    state_->send(header);
    state_->send(part);
    state_->handle_available();
    if (state_->failure) {
      state_->handle_to_end();
      throw *state_->failure;
    }
  }
}

uint64_t CopyIn::finish() {
  constexpr uint8_t kCopyDone[] = {'c', 0, 0, 0, 4};
  state_->send(kCopyDone);
  state_->handle_to_end();
  if (state_->failure) throw *state_->failure;
  return state_->rows;
}

}  // namespace holdfast
