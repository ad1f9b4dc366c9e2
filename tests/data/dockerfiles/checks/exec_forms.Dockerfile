FROM scratch
CMD ["x"]
ENTRYPOINT ["y", "z"]
HEALTHCHECK CMD z
