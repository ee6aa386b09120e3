package io.millrace.bench;

import java.io.File;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.avro.Schema;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The bench's job on the JVM's Kafka Streams: count and sum of `value` in 10 s tumbling windows, RocksDB state with a changelog, results to a
 * topic, exactly once, one thread. Arguments: `name=value`, as bench/streams/jvm.ts names them. Writes one line of JSON when it has measured:
 * for `measure=input` from RUNNING until every record of the input and of the repartition topic was processed (the last commit is not waited
 * for), for `measure=restore` from the first record of a restore until RUNNING.
 */
public class StreamsPeer {
  private static final String STORE = "windows";
  private static final Duration WINDOW = Duration.ofSeconds(10);
  /** Longer than any input spans: nothing can be late, however unevenly the partitions are read. */
  private static final Duration GRACE = Duration.ofSeconds(600);
  private static final Duration RETENTION = Duration.ofHours(24);
  private static final Duration CLOSE_DEADLINE = Duration.ofSeconds(15);

  public static void main(String[] args) throws Exception {
    Map<String, String> options = Arrays.stream(args).map(arg -> arg.split("=", 2))
        .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
    Properties config = config(options);
    boolean byType = options.get("by").equals("type");
    Schema schema = new Schema.Parser().parse(new File(options.get("schema")));
    Topology topology = topology(options.get("input"), options.get("output"), byType, schema);

    Restore restore = new Restore();
    KafkaStreams streams = new KafkaStreams(topology, config);
    streams.setGlobalStateRestoreListener(restore);
    streams.start();
    while (streams.state() != KafkaStreams.State.RUNNING) Thread.sleep(5);
    Moment running = Moment.now();
    if (options.get("measure").equals("restore"))
      System.out.println(restore.start().measurementUntil(running, restore.records.get(), dropped(streams)));
    else {
      String input = options.get("input");
      long total = records(config, input);
      while (consumed(streams, input) < total || (byType && consumed(streams, "repartition") < total)) Thread.sleep(20);
      System.out.println(running.measurementUntil(Moment.now(), total, dropped(streams)));
    }
    // The group is left, so that a restart need not wait for the session of this member.
    streams.close(new KafkaStreams.CloseOptions().timeout(CLOSE_DEADLINE).leaveGroup(true));
    System.exit(0);
  }

  private static Properties config(Map<String, String> options) {
    Properties config = new Properties();
    config.put("bootstrap.servers", options.get("broker"));
    config.put("application.id", options.get("applicationId"));
    config.put("state.dir", options.get("stateFolder"));
    config.put("processing.guarantee", "exactly_once_v2");
    config.put("num.stream.threads", "1");
    config.put("auto.offset.reset", "earliest");
    config.put("replication.factor", "1");
    // Larger batches than the defaults: this is a measurement of throughput.
    config.put("max.poll.records", "10000");
    config.put("producer.linger.ms", "20");
    config.put("producer.batch.size", "262144");
    return config;
  }

  private static Topology topology(String input, String output, boolean byType, Schema schema) {
    EventSerde eventSerde = new EventSerde(schema);
    Serde<Event> events = Serdes.serdeFrom(eventSerde, eventSerde);
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, Event> source = builder.stream(input, Consumed.with(Serdes.String(), events));
    KGroupedStream<String, Event> grouped = byType
        ? source.groupBy((user, event) -> event.type(), Grouped.with(Serdes.String(), events))
        : source.groupByKey(Grouped.with(Serdes.String(), events));
    grouped.windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, GRACE))
        .aggregate(() -> new Mean(0, 0), (key, event, mean) -> mean.add(event.value()),
            Materialized.<String, Mean, WindowStore<Bytes, byte[]>>as(STORE)
                .withKeySerde(Serdes.String()).withValueSerde(Mean.SERDE).withRetention(RETENTION))
        .toStream((key, mean) -> key.key() + "@" + key.window().start())
        .to(output, Produced.with(Serdes.String(), Mean.SERDE));
    return builder.build();
  }

  /** How many records the topic holds. */
  private static long records(Properties config, String topic) throws Exception {
    try (Admin admin = Admin.create(config)) {
      Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
      for (var partition : admin.describeTopics(java.util.List.of(topic)).allTopicNames().get().get(topic).partitions())
        ends.put(new TopicPartition(topic, partition.partition()), OffsetSpec.latest());
      return admin.listOffsets(ends).all().get().values().stream().mapToLong(end -> end.offset()).sum();
    }
  }

  /** Records processed so far from the topics whose name ends like this. */
  private static long consumed(KafkaStreams streams, String suffix) {
    return streams.metrics().entrySet().stream()
        .filter(metric -> metric.getKey().name().equals("records-consumed-total"))
        .filter(metric -> metric.getKey().group().equals("stream-topic-metrics"))
        .filter(metric -> String.valueOf(metric.getKey().tags().get("topic")).endsWith(suffix))
        .mapToLong(metric -> ((Number) metric.getValue().metricValue()).longValue()).sum();
  }

  /** Records that were late or could not be used. */
  private static double dropped(KafkaStreams streams) {
    return streams.metrics().entrySet().stream()
        .filter(metric -> metric.getKey().name().equals("dropped-records-total"))
        .mapToDouble(metric -> ((Number) metric.getValue().metricValue()).doubleValue()).sum();
  }
}
