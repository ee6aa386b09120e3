package millrace.interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.ReadOnlyWindowStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;

/**
 * Runs the program with Kafka Streams. Arguments: brokers, application id, input topic, state directory. Says `running`
 * when its stores are restored; answers every line on stdin with the rows of all stores; closes when stdin ends.
 */
public final class VisitApplication {
  private static final Duration START_MAX = Duration.ofSeconds(60);
  private static final Duration QUERY_MAX = Duration.ofSeconds(20);
  private static final Duration QUERY_PAUSE = Duration.ofMillis(50);
  private static final Duration CLOSE_MAX = Duration.ofSeconds(20);

  public static void main(String[] args) throws IOException, InterruptedException {
    CountDownLatch running = new CountDownLatch(1);
    KafkaStreams streams = new KafkaStreams(VisitStores.topology(args[2]), properties(args[0], args[1], args[3]));
    streams.setStateListener(
        (to, from) -> {
          if (to == KafkaStreams.State.RUNNING) running.countDown();
        });
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    streams.start();
    if (!running.await(START_MAX.toSeconds(), TimeUnit.SECONDS)) {
      System.err.println("not running after " + START_MAX.toSeconds() + " s, but " + streams.state());
      Runtime.getRuntime().halt(1);
    }
    System.out.println("running");
    boolean closed = false;
    try {
      BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      while (commands.readLine() != null) writeRows(streams);
    } finally {
      closed = streams.close(new KafkaStreams.CloseOptions().leaveGroup(true).timeout(CLOSE_MAX));
    }
    System.exit(closed ? 0 : 1);
  }

  private static Properties properties(String brokers, String applicationId, String stateDirectory) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, applicationId);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, stateDirectory);
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    // Queries would find rows in the cache whose retention is over.
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    properties.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    // A static member can leave when it closes; another one stays in the group until its session is over.
    properties.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), "jvm");
    return properties;
  }

  /** A store that is moving, because the group has not settled or stream time goes on, is asked again. */
  private static void writeRows(KafkaStreams streams) throws InterruptedException {
    long deadline = System.nanoTime() + QUERY_MAX.toNanos();
    for (; ; ) {
      try {
        RowWriter rows = new RowWriter();
        VisitStores.WINDOWS.keySet().forEach(store -> addWindows(streams, store, rows));
        VisitStores.TABLES.forEach(store -> addTable(streams, store, rows));
        rows.write();
        return;
      } catch (InvalidStateStoreException error) {
        if (System.nanoTime() > deadline) throw error;
        Thread.sleep(QUERY_PAUSE.toMillis());
      }
    }
  }

  /** Every row by `all`, and each again by `fetch`, which looks for it by its key's bytes. */
  private static <V> void addWindows(KafkaStreams streams, String name, RowWriter rows) {
    ReadOnlyWindowStore<String, ValueAndTimestamp<V>> store =
        streams.store(
            StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.<String, V>timestampedWindowStore()));
    try (KeyValueIterator<Windowed<String>, ValueAndTimestamp<V>> all = store.all()) {
      all.forEachRemaining(
          row -> {
            Windowed<String> key = row.key;
            ValueAndTimestamp<V> fetched = store.fetch(key.key(), key.window().start());
            // Just once, that is a row whose retention was over between the two; time and again, one whose key's bytes are wrong.
            if (fetched == null) throw new InvalidStateStoreException(name + ": " + key + " is among all rows and cannot be fetched");
            rows.window(name, key.key(), key.window().start(), fetched.value(), fetched.timestamp());
          });
    }
  }

  private static void addTable(KafkaStreams streams, String name, RowWriter rows) {
    ReadOnlyKeyValueStore<String, ValueAndTimestamp<Long>> store =
        streams.store(
            StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.<String, Long>timestampedKeyValueStore()));
    try (KeyValueIterator<String, ValueAndTimestamp<Long>> all = store.all()) {
      all.forEachRemaining(row -> rows.table(name, row.key, row.value.value(), row.value.timestamp()));
    }
  }

  private VisitApplication() {}
}
