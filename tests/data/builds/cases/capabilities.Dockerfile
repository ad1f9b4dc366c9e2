FROM alpine
RUN grep Cap /proc/self/status | grep -e CapEff -e CapBnd > /caps; grep Seccomp: /proc/self/status > /sec; grep NoNewPrivs /proc/self/status > /nnp
