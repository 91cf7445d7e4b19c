window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  // A token is for this page alone, and gone with it.
  persistAuthorization: false,
  // Nothing is sent to a validator elsewhere.
  validatorUrl: null,
});
