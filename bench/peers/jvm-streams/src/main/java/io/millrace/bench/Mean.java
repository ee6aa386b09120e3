package io.millrace.bench;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Count and sum: what an average is made of. */
record Mean(long count, double sum) {
  /** int64 count and float64 sum, big endian: the bytes that our side writes. */
  static final Serde<Mean> SERDE =
      Serdes.serdeFrom(
          (topic, mean) -> mean == null ? null : ByteBuffer.allocate(16).putLong(mean.count).putDouble(mean.sum).array(),
          (topic, bytes) -> bytes == null ? null : new Mean(ByteBuffer.wrap(bytes).getLong(0), ByteBuffer.wrap(bytes).getDouble(8)));

  Mean add(double value) {
    return new Mean(count + 1, sum + value);
  }
}
