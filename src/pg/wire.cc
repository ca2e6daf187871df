#include "pg/wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace holdfast {
namespace {

// Large enough that one receive empties a unix socket's queue, small enough to stay in the cache
// until the row hash and the compressor have seen it.
constexpr size_t kReceiveBytes = 256 << 10;
constexpr auto kGatherTime = std::chrono::microseconds(150);

}  // namespace

WireSocket::WireSocket(Connection& connection)
    : connection_(connection),
      fd_(PQsocket(connection.raw())),
      ssl_(static_cast<SSL*>(PQsslStruct(connection.raw(), "OpenSSL"))) {
  if (PQgssEncInUse(connection.raw()))
    throw Error(ErrorCode::unsupported, "the connection is encrypted by GSSAPI",
                "set gssencmode=disable (TLS stays possible by sslmode=require)");
  if (fd_ < 0) throw Error(ErrorCode::unavailable, "the connection to the server is lost");
}

void WireSocket::lost(const char* what) {
  std::string reason = errno != 0 ? std::string(": ") + std::strerror(errno) : std::string();
  throw Error(ErrorCode::unavailable,
              std::string("the server closed the connection ") + what + reason,
              "see the server's log; it may have been restarted or have run out of memory");
}

bool WireSocket::wait(bool for_write) {
  pollfd waiting{fd_, static_cast<short>(POLLIN | (for_write ? POLLOUT : 0)), 0};
  while (::poll(&waiting, 1, -1) < 0)
    if (errno != EINTR) lost("while waiting");
  return (waiting.revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

size_t WireSocket::send_some(ByteView bytes) {
  errno = 0;
  if (ssl_ != nullptr) {
    int sent =
        SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 30)));
    if (sent > 0) return static_cast<size_t>(sent);
    int reason = SSL_get_error(ssl_, sent);
    if (reason == SSL_ERROR_WANT_WRITE || reason == SSL_ERROR_WANT_READ) return 0;
    lost("while sending");
  }
  ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  lost("while sending");
}

size_t WireSocket::receive_available(uint8_t* out, size_t size) {
  errno = 0;
  if (ssl_ != nullptr) {
    int got = SSL_read(ssl_, out, static_cast<int>(std::min<size_t>(size, 1 << 30)));
    if (got > 0) return static_cast<size_t>(got);
    int reason = SSL_get_error(ssl_, got);
    if (reason == SSL_ERROR_WANT_WRITE || reason == SSL_ERROR_WANT_READ) return 0;
    lost("in the middle of the data");
  }
  ssize_t got = ::recv(fd_, out, size, 0);
  if (got > 0) return static_cast<size_t>(got);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  lost("in the middle of the data");
}

size_t WireSocket::receive(uint8_t* out, size_t size) {
  if (size_t got = receive_available(out, size)) return got;
  // The server sends 8 KiB at a time, and waking up for each costs both sides more than the
  // copying: a moment later a good many have gathered.
  std::this_thread::sleep_for(kGatherTime);
  while (true) {
    if (size_t got = receive_available(out, size)) return got;
    wait(false);
  }
}

WireReader::WireReader(WireSocket& socket) : socket_(socket), buffer_(kReceiveBytes) {}

void WireReader::fill() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > 0 && buffer_.size() - end_ < 16) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  end_ += socket_.receive(buffer_.data() + end_, buffer_.size() - end_);
}

char WireReader::next() {
  while (end_ - begin_ < 5) fill();
  char type = static_cast<char>(buffer_[begin_]);
  uint32_t length = load_be32(&buffer_[begin_ + 1]);
  begin_ += 5;
  if (length < 4) throw Error(ErrorCode::corrupt, "the server sent a message with a bad length");
  body_left_ = length - 4;
  return type;
}

ByteView WireReader::body_part() {
  if (begin_ == end_) fill();
  size_t size = std::min<size_t>(body_left_, end_ - begin_);
  ByteView part(buffer_.data() + begin_, size);
  begin_ += size;
  body_left_ -= static_cast<uint32_t>(size);
  return part;
}

std::string WireReader::body(uint32_t bytes_max) {
  if (body_left_ > bytes_max)
    throw Error(ErrorCode::corrupt, "the server sent a message that is too long");
  std::string text;
  while (body_left_ > 0) text.append(as_text(body_part()));
  return text;
}

bool WireReader::poll() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    end_ = socket_.receive_available(buffer_.data(), buffer_.size());
  }
  return begin_ != end_;
}

std::string encode_query(const std::string& sql) {
  std::string message(5, 'Q');
  message.append(sql).push_back('\0');
  store_be32(reinterpret_cast<uint8_t*>(message.data()) + 1,
             static_cast<uint32_t>(message.size() - 1));
  return message;
}

Error decode_error(const std::string& body) {
  std::string fields[128];
  for (size_t at = 0; at < body.size() && body[at] != '\0';) {
    auto field = static_cast<unsigned char>(body[at]);
    size_t end = body.find('\0', at + 1);
    if (end == std::string::npos) break;
    if (field < 128) fields[field] = body.substr(at + 1, end - at - 1);
    at = end + 1;
  }
  return server_error(fields['C'], fields['M'], fields['D'], fields['H']);
}

}  // namespace holdfast
