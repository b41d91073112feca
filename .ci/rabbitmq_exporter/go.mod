// The exporter for RabbitMQ 3 with all that it needs, each at the version that it asks for and checked by its hash. All are
// named, so that Go fetches nothing else: it takes 10 s, and two minutes where only the first one is.
module servers

go 1.21

require (
	github.com/kbudde/rabbitmq_exporter v1.0.0
	github.com/beorn7/perks v1.0.1
	github.com/cespare/xxhash/v2 v2.2.0
	github.com/ghodss/yaml v1.0.0
	github.com/kbudde/gobert v0.0.0-20220512191144-9767639f5c50
	github.com/prometheus/client_golang v1.19.0
	github.com/prometheus/client_model v0.6.0
	github.com/prometheus/common v0.50.0
	github.com/prometheus/procfs v0.13.0
	github.com/sirupsen/logrus v1.9.3
	github.com/tkanos/gonfig v0.0.0-20210106201359-53e13348de2f
	golang.org/x/sys v0.18.0
	google.golang.org/protobuf v1.33.0
	gopkg.in/yaml.v2 v2.4.0
)
