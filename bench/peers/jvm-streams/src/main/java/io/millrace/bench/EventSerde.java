package io.millrace.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;

/** Framed Avro from the input; on the repartition topic a mark, the value and the type, which are all that is needed there. */
class EventSerde implements Serializer<Event>, Deserializer<Event> {
  private static final int FRAME_BYTES = 5;
  private static final byte SHORT_FORM = 1;

  private final GenericDatumReader<GenericRecord> reader;
  private final ThreadLocal<BinaryDecoder> decoder = new ThreadLocal<>();

  EventSerde(Schema schema) {
    reader = new GenericDatumReader<>(schema);
  }

  @Override
  public void configure(Map<String, ?> configs, boolean isKey) {}

  @Override
  public void close() {}

  @Override
  public Event deserialize(String topic, byte[] bytes) {
    if (bytes[0] == SHORT_FORM)
      return new Event(new String(bytes, 9, bytes.length - 9, StandardCharsets.UTF_8), ByteBuffer.wrap(bytes).getDouble(1));
    try {
      decoder.set(DecoderFactory.get().binaryDecoder(bytes, FRAME_BYTES, bytes.length - FRAME_BYTES, decoder.get()));
      GenericRecord event = reader.read(null, decoder.get());
      Object value = event.get("value");
      return new Event(event.get("event_type").toString(), value == null ? 0 : (Double) value);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public byte[] serialize(String topic, Event event) {
    byte[] type = event.type().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(9 + type.length).put(SHORT_FORM).putDouble(event.value()).put(type).array();
  }
}
