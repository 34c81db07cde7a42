"""What a scenario of one's own begins as: complete, and it can be played as it is."""

from __future__ import annotations

import re

TEMPLATE = """\
# docs/scenarios.md explains every field. Play it:  seatrial scenario solve FILE
id: ID
title: {en: "A service without endpoints", ko: "엔드포인트가 없는 서비스"}
level: 1
topics: [services]
par: 3m
limit: 5m
story:
  en: The service web answers nobody. Bring it back.
  ko: 서비스 web이 응답하지 않습니다. 다시 살리세요.
cluster: {nodes: 2, metrics_server: false}
seed: 1
manifests: |
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec:
        containers: [{name: nginx, image: "nginx:1.27"}]
  ---
  apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {selector: {app: web}, ports: [{port: 80}]}
rules:
- id: keep
  text: {en: "The deployment stays.", ko: "디플로이먼트를 새로 만들지 않습니다."}
  always: kept('deployment/web')
stages:
- timeline:
  - at: 10s
    run: |
      kubectl patch service web -p '{"spec":{"selector":{"app":"wbe"}}}'
  goals:
  - id: endpoints
    text: {en: "The service has two endpoints.", ko: "서비스에 엔드포인트가 두 개 있습니다."}
    that: endpoints('web') == 2
  hints:
  - {en: "Compare the selector with the pods' labels.", ko: "셀렉터와 파드의 레이블을 비교하세요."}
solutions:
  mend-selector:
  - until endpoints('web') == 0
  - |
    kubectl patch service web -p '{"spec":{"selector":{"app":"web"}}}'
wrong:
  restart:
    do: ["until endpoints('web') == 0", kubectl rollout restart deployment web]
    fails: [endpoints]
    why: {en: "New pods have the same labels.", ko: "새 파드의 레이블도 같습니다."}
debrief:
  en: A service finds its pods by their labels alone.
  ko: 서비스는 레이블만으로 파드를 찾습니다.
"""


def template(name: str) -> str:
    """The text of a scenario called ``name``. Characters that an id cannot have become hyphens."""
    made = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "MY-01"
    return TEMPLATE.replace("id: ID", f"id: {made}", 1)
