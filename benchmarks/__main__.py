"""Run every benchmark."""

from benchmarks import rollout

rollout.main()
