package millrace.interop;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.TimeWindowedDeserializer;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.internals.WindowKeySchema;

/**
 * Reads the changelog topics of an application to their committed ends, with the deserialisers of Kafka Streams, and says what rows they amount to.
 * Arguments: brokers, application id.
 */
public final class ChangelogRows {
  private static final int FETCH_WAIT_MS = 20;
  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration READ_MAX = Duration.ofSeconds(30);
  private static final int SEQUENCE = 0;

  public static void main(String[] args) {
    Properties properties = new Properties();
    properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    // A partition of which only a commit marker is left answers after this wait.
    properties.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, FETCH_WAIT_MS);
    RowWriter rows = new RowWriter();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      VisitStores.WINDOWS.forEach(
          (store, of) -> {
            TimeWindowedDeserializer<String> keys =
                new TimeWindowedDeserializer<>(new StringDeserializer(), of.size().toMillis());
            keys.setIsChangelogTopic(true);
            eachRow(
                consumer,
                changelog(args[1], store),
                (topic, record) -> {
                  Windowed<String> key = keys.deserialize(topic, record.key());
                  checkBytes(key, record.key());
                  Object value = of.values().deserializer().deserialize(topic, record.value());
                  rows.window(store, key.key(), key.window().start(), value, record.timestamp());
                });
          });
      for (String store : VisitStores.TABLES) {
        eachRow(
            consumer,
            changelog(args[1], store),
            (topic, record) ->
                rows.table(
                    store,
                    new StringDeserializer().deserialize(topic, record.key()),
                    new LongDeserializer().deserialize(topic, record.value()),
                    record.timestamp()));
      }
    }
    rows.write();
  }

  private static String changelog(String applicationId, String store) {
    return applicationId + "-" + store + "-changelog";
  }

  /** The last record of each key, deleted ones excepted. */
  private static void eachRow(
      KafkaConsumer<byte[], byte[]> consumer, String topic, BiConsumer<String, ConsumerRecord<byte[], byte[]>> row) {
    Map<Bytes, ConsumerRecord<byte[], byte[]>> last = new HashMap<>();
    List<TopicPartition> partitions =
        consumer.partitionsFor(topic).stream().map(info -> new TopicPartition(topic, info.partition())).toList();
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
    long deadline = System.nanoTime() + READ_MAX.toNanos();
    while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
      if (System.nanoTime() > deadline) throw new IllegalStateException(topic + " was not read to its end in time");
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
        if (record.value() == null) last.remove(Bytes.wrap(record.key()));
        else last.put(Bytes.wrap(record.key()), record);
      }
    }
    last.values().forEach(record -> row.accept(topic, record));
  }

  /** The key's bytes are those that Kafka Streams writes for it, the sequence number included. */
  private static void checkBytes(Windowed<String> key, byte[] found) {
    byte[] text = key.key().getBytes(StandardCharsets.UTF_8);
    byte[] expected = WindowKeySchema.toStoreKeyBinary(Bytes.wrap(text), key.window().start(), SEQUENCE).get();
    if (!Arrays.equals(expected, found)) throw new IllegalStateException("Kafka Streams writes the key " + key + " otherwise");
  }

  private ChangelogRows() {}
}
